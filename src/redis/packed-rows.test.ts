import { expect, it } from "vitest";
import { packedRows } from "./packed-rows.js";

const hex = (rows: readonly { a: string | number | Uint8Array }[]) => packedRows(rows, ["a"]).toString("hex");

it("packs rows as one flat array of strings, by the names in order", () => {
  const packed = packedRows(
    [
      { id: "é", score: 12, at: 1 },
      { id: "", score: 0, at: 2 },
    ],
    ["score", "id"],
  );

  expect(packed.toString("hex")).toBe("dd00000004" + "d9023132" + "d902c3a9" + "d90130" + "d900");
});

it("takes bytes as they are, of every length that has a head of its own", () => {
  for (const [length, head] of [
    [255, "d9ff"],
    [256, "da0100"],
    [65_535, "daffff"],
    [65_536, "db00010000"],
  ] as const) {
    const bytes = new Uint8Array(length).fill(0xff);

    expect(hex([{ a: bytes }])).toBe(`dd00000001${head}${"ff".repeat(length)}`);
    expect(hex([{ a: "x".repeat(length) }])).toBe(`dd00000001${head}${"78".repeat(length)}`);
  }
});

it("is an empty array for no rows", () => {
  expect(hex([])).toBe("dd00000000");
});
