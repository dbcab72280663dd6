import { expect, it } from "vitest";
import { pack, unpack } from "./packed.js";

it("gives back what was packed, gaps and empty strings too, in a buffer of its own", () => {
  const parts = [Buffer.from("ab"), undefined, new Uint8Array(0), Buffer.from("c")];

  const packed = pack(parts);
  const again = unpack(structuredClone(packed, { transfer: [packed.bytes.buffer] }));

  expect(again.map((part) => (part === undefined ? undefined : Buffer.from(part).toString()))).toEqual([
    "ab",
    undefined,
    "",
    "c",
  ]);
  expect(packed.bytes.buffer.byteLength).toBe(0);
});
