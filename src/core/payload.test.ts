import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Codec, decodePayload, encodePayload, json, rawBytes } from "./payload.js";
import { seed } from "../../test/support/seed.js";

fc.configureGlobal({ seed });

const encode = (value: unknown, codec: Codec<unknown> = json) => encodePayload(codec, value, "t");
const decode = (text: string | Uint8Array, codec: Codec<unknown> = json) =>
  decodePayload(codec, typeof text === "string" ? Buffer.from(text) : text, "t");
const invalid = (path: string, problem: string | RegExp) =>
  expect.objectContaining({
    code: "PAYLOAD_INVALID",
    data: { type: "t", path, problem: typeof problem === "string" ? problem : expect.stringMatching(problem) },
  });

/** `{ next: { next: … } }`, made without recursion. */
function nested(levels: number, innermost: unknown = null): unknown {
  let value = innermost;
  for (let level = 0; level < levels; level += 1) value = { next: value };
  return value;
}

describe("json", () => {
  it("gives back any JSON value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(!/"__proto__"|"constructor"/.test(JSON.stringify(value)));
        expect(decode(encode(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it("writes no bytes for undefined, and reads none as undefined", () => {
    expect(encode(undefined)).toHaveLength(0);
    expect(decode("")).toBeUndefined();
  });

  it("writes what JSON.stringify writes", () => {
    const value = { at: new Date(0), "a b": [1, null, "é", "\u2028"], skipped: undefined };

    expect(Buffer.from(encode(value)).toString()).toBe(JSON.stringify(value));
  });

  it.each([
    ["a BigInt", { users: [{}, { balance: 5n }] }, "users[1].balance", /BigInt.*send it as a string/],
    ["a BigInt at the top", 5n, "", /BigInt/],
    ["a BigInt under an odd name", { "a b": { "0": 1n } }, '["a b"]["0"]', /BigInt/],
    ["a function", () => {}, "", "a function cannot be written as JSON"],
    ["a symbol", Symbol("s"), "", "a symbol cannot be written as JSON"],
    ["__proto__", JSON.parse('{"a":[{"__proto__":{"admin":true}}]}'), "a[0].__proto__", "this name is not allowed"],
    [
      "constructor.prototype",
      { a: { constructor: { prototype: {} } } },
      "a.constructor",
      /not allowed with a prototype/,
    ],
  ])("refuses %s, with its path", (_what, value, path, problem) => {
    expect(() => encode(value)).toThrow(invalid(path, problem));
  });

  it("refuses a cycle, with the path to where it closes", () => {
    const team = { name: "a", members: [] as unknown[] };
    team.members.push({ name: "b", team });

    expect(() => encode({ team })).toThrow(invalid("team.members[0].team", /refers back/));
  });

  it("takes the same object twice, which is no cycle", () => {
    const address = { city: "x" };

    expect(decode(encode({ from: address, to: address }))).toEqual({ from: address, to: address });
  });

  it("takes harmless uses of the dangerous names", () => {
    const value = { constructor: "Brunel", a: ["__proto__", "constructor"], b: { prototype: 1 } };

    expect(decode(encode(value))).toEqual(value);
  });

  it.each([
    ['{"__proto__":{"admin":true}}', "__proto__"],
    [String.raw`{"\u005f_proto__":{"admin":true}}`, "__proto__"],
    [String.raw`{"\u005F\u005f\u0070roto__":1}`, "__proto__"],
    ['[[{"x":{"__proto__":1}}]]', "[0][0].x.__proto__"],
    ['{"constructor":{"prototype":{"admin":true}}}', "constructor"],
    [String.raw`{"c\u006fnstructor":{"prot\u006ftype":1}}`, "constructor"],
    [String.raw`{"constructor":{"prot\u006ftype":1}}`, "constructor"],
  ])("refuses %s when it is read", (text, path) => {
    expect(() => decode(text)).toThrow(invalid(path, /not allowed/));
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it.each([
    ["text that is no JSON", "{secret: 1"],
    ["a number with text behind it", "1secret"],
    ["text that is not UTF-8", Buffer.from([0x22, 0xc3, 0x28, 0x22])],
  ])("refuses %s, and does not quote it", (_what, stored) => {
    expect(() => decode(stored)).toThrow(invalid("", /^cannot be decoded \(\w+\)$/));
    expect(() => decode(stored)).not.toThrow(/secret/);
  });

  it("is not brought down by depth, in either direction", () => {
    expect(decode(encode(nested(500)))).toEqual(nested(500));
    expect(() => encode(nested(200_000))).toThrow(
      invalid(expect.any(String) as unknown as string, /nested too deeply/),
    );
    expect(() => encode(nested(2_000, 5n))).toThrow(
      invalid(expect.any(String) as unknown as string, /nested too deeply/),
    );

    const deep = "[".repeat(100_000) + '{"__proto__":1}' + "]".repeat(100_000);
    expect(() => decode(deep)).toThrow(invalid("", /^cannot be decoded \(RangeError\)$/));
  });

  it("tells of code in the payload that throws, without its words", () => {
    const hostile = {
      get balance() {
        throw new Error("secret");
      },
    };
    const angry = {
      toJSON() {
        throw new TypeError("secret");
      },
    };

    expect(() => encode(hostile)).toThrow(invalid("", "cannot be encoded (Error)"));
    expect(() => encode({ angry })).toThrow(invalid("", "cannot be encoded (TypeError)"));
  });
});

describe("rawBytes", () => {
  it("passes bytes on as they are", () => {
    const bytes = Uint8Array.of(0, 255, 195, 40);

    expect(encode(bytes, rawBytes)).toBe(bytes);
    expect(decode(bytes, rawBytes)).toBe(bytes);
    expect(encode(Buffer.from("x"), rawBytes)).toHaveLength(1);
  });

  it.each([["text"], [[1, 2]], [new ArrayBuffer(2)], [new DataView(new ArrayBuffer(2))], [null], [undefined]])(
    "refuses %s",
    (value) => {
      expect(() => encode(value, rawBytes)).toThrow(invalid("", /^must be a Uint8Array, got a value of type/));
    },
  );
});

describe("a codec of one's own", () => {
  const upper: Codec<string> = {
    encode: (value) => Buffer.from(value.toUpperCase()),
    decode: (bytes) => Buffer.from(bytes).toString().toLowerCase(),
  };

  it("is used in both directions", () => {
    expect(Buffer.from(encodePayload(upper, "abc", "t")).toString()).toBe("ABC");
    expect(decodePayload(upper, Buffer.from("ABC"), "t")).toBe("abc");
  });

  it("is refused when it answers something else than bytes, or throws", () => {
    const wrong = { encode: () => "text" as unknown as Uint8Array, decode: () => JSON.parse("secret") as string };

    expect(() => encodePayload(wrong, "x", "t")).toThrow(invalid("", /must return a Uint8Array/));
    expect(() => decodePayload(wrong, Buffer.from("x"), "t")).toThrow(invalid("", "cannot be decoded (SyntaxError)"));
    expect(() => encodePayload(upper, undefined as unknown as string, "t")).toThrow(
      invalid("", "cannot be encoded (TypeError)"),
    );
  });
});
