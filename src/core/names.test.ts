import { describe, expect, it } from "vitest";
import { queueName, taskHeaders, taskName } from "./names.js";

const refused = (option: string) =>
  expect.objectContaining({ code: "OPTION_INVALID", data: expect.objectContaining({ option }) });

describe("queueName", () => {
  it.each(["default", "a", "email:high-priority.v2_x", "__proto__", "x".repeat(128)])("takes %j", (name) => {
    expect(queueName(name)).toBe(name);
  });

  it.each([
    ["", " ", "a b", "a\n", "\ta", "a\0b"],
    ["{}", "}x", "a}:t:x", "{a", "a{b}c"],
    ["*", "?", "[a]", "a\\", "a/b", "%2f", "#", "'", '"', "\u202eabc", "é", "😀"],
    ["x".repeat(129), "x".repeat(10_000)],
    [undefined, null, 5, {}, ["default"], Object("default")],
  ])("refuses %j and its like", (...names) => {
    for (const name of names) expect(() => queueName(name), String(name)).toThrow(refused("queue"));
  });

  it("says what is allowed, and does not repeat a long name", () => {
    expect(() => queueName("}".repeat(5_000))).toThrow(
      /^queue: must be 1 to 128 letters, digits or _ \. : -, got "}{40}…"$/,
    );
  });
});

describe("taskName", () => {
  it.each([
    "t",
    "email:welcome",
    "</script><img src=x onerror=alert(1)>",
    "日本語",
    "a b",
    "x".repeat(256),
    "é".repeat(128),
  ])("takes %j", (name) => {
    expect(taskName(name, "type")).toBe(name);
  });

  it.each([
    ["", " ", "\u3000", "\u00a0"],
    ["a\0b", "a\r\nb", "\x1b[31m", "a\u0085", "\x7f"],
    ["\ud800", "a\udc00b"],
    ["x".repeat(257), "é".repeat(129), "😀".repeat(65), "x".repeat(10_000)],
    [undefined, null, 0, Symbol("t"), {}],
  ])("refuses %j and its like", (...names) => {
    for (const name of names) expect(() => taskName(name, "type"), String(name)).toThrow(refused("type"));
  });
});

describe("taskHeaders", () => {
  it("copies into a record without a prototype", () => {
    const given = { traceparent: "00-abc-01", empty: "", constructor: "c", toString: "s" };

    const headers = taskHeaders(given, "headers");

    expect(Object.getPrototypeOf(headers)).toBeNull();
    expect({ ...headers }).toEqual(given);
  });

  it("takes headers that it made itself", () => {
    expect({ ...taskHeaders(taskHeaders({ a: "1" }, "headers"), "headers") }).toEqual({ a: "1" });
  });

  it.each([
    ["__proto__ as a name", JSON.parse('{"__proto__":"x"}'), "headers.__proto__"],
    ["an empty name", { "": "x" }, "headers."],
    ["a line break in a name", { "a\r\nb": "x" }, "headers.a\ufffd\ufffdb"],
    ["a lone surrogate in a name", { "\ud800": "x" }, "headers.\ud800"],
    ["a lone surrogate in a value", { a: "\ud800" }, "headers.a"],
    ["a number", { a: 5 }, "headers.a"],
    ["undefined", { a: undefined }, "headers.a"],
    ["a nested object", { a: { b: "c" } }, "headers.a"],
    ["more than 16 KiB", { a: "x".repeat(16_384) }, "headers"],
    ["more than 16 KiB in UTF-8", { a: "é".repeat(8_192) }, "headers"],
    ["null", null, "headers"],
    ["a string", "a=b", "headers"],
    ["an array", ["a"], "headers"],
    ["a Map, whose entries would be lost", new Map([["a", "b"]]), "headers"],
    ["fetch Headers, whose entries would be lost", new Headers({ a: "b" }), "headers"],
  ])("refuses %s", (_what, given, option) => {
    expect(() => taskHeaders(given, "headers")).toThrow(refused(option));
  });

  it("takes 16 KiB, names included", () => {
    expect(taskHeaders({ a: "x".repeat(16_383) }, "headers")["a"]).toHaveLength(16_383);
  });

  it("tells the type of a value, and never the value", () => {
    expect(() => taskHeaders({ authorization: 42 }, "headers")).toThrow(
      "headers.authorization: must be a string, got a value of type number",
    );
  });
});
