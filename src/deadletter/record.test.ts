import { describe, expect, it } from "vitest";
import { message } from "../../test/support/builders.js";
import type { StoredLetter } from "../broker/stored-letter.js";
import { encodeMessage } from "../core/codec.js";
import { parseRecord, recordLine } from "./record.js";

const letter = (fields: Partial<StoredLetter> = {}): StoredLetter => ({
  queue: "billing",
  id: "id-1",
  archivedAtMs: 1_700_000_000_000,
  message: encodeMessage(message({ type: "invoice:send", payload: Buffer.from('{"n":9007199254740993}') })),
  fields: new Map(),
  ...fields,
});
const plain = (read: ReturnType<typeof parseRecord>) =>
  "problem" in read
    ? read
    : { ...read, message: Buffer.from(read.message).toString("hex"), fields: hexOf(read.fields) };
const hexOf = (fields: StoredLetter["fields"]) =>
  Object.fromEntries(Array.from(fields, ([name, bytes]) => [name, Buffer.from(bytes).toString("hex")]));

describe("a dead letter as a line of JSON", () => {
  it("comes back byte for byte, whatever is stored of it", () => {
    const stored = letter({
      message: Buffer.from([0xff, 0x00, 0x80]),
      fields: new Map([
        ["failure", Buffer.from('{"message":"größer"}')],
        ["result", Buffer.from([0xc3, 0x28])],
        ["__proto__", Buffer.from("x")],
      ]),
    });

    const line = recordLine(stored);

    expect(line).not.toContain("\n");
    expect(plain(parseRecord(line))).toEqual(plain(stored));
  });

  it("tells people the type and when it died", () => {
    expect(JSON.parse(recordLine(letter({ fields: new Map([["crashes", Buffer.from("2")]]) })))).toMatchObject({
      format: "holdfast.dead-letter/1",
      type: "invoice:send",
      archivedAt: "2023-11-14T22:13:20.000Z",
      fields: { crashes: "2" },
    });
  });

  it.each([
    ["{", "it is no JSON"],
    ["3", "it is no object"],
    ["{}", 'its format is not "holdfast.dead-letter/1"'],
    [changed({ queue: "" }), "its queue is no name"],
    [changed({ id: 7 }), "its id is no name"],
    [changed({ archivedAt: "soon" }), "its archivedAt is no time"],
    [changed({ message: "a*" }), "its message is no base64"],
    [changed({ fields: { failure: 3 } }), "its fields are no texts"],
    [changed({ fields: ["x"] }), "its fields are no texts"],
  ])("says of %s what is wrong with it", (line, problem) => {
    expect(parseRecord(line)).toEqual({ problem });
  });
});

function changed(fields: Record<string, unknown>): string {
  return JSON.stringify({ ...JSON.parse(recordLine(letter())), ...fields });
}
