import { describe, expect, it } from "vitest";
import { serverError } from "./server-error.js";

const sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d";
const call = (keys: readonly string[]) => ({ script: { name: "settle", text: "", sha1 }, keys, args: [] });

describe("a server's error", () => {
  it.each([
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script.",
    "READONLY You can't write against a read only replica.",
    "MASTERDOWN Link with MASTER is down",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "NOREPLICAS Not enough good replicas to write.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Errors writing to the AOF file",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM this user has no permissions",
    "ERR max number of clients reached",
  ])("is a refusal: %s", (reply) => {
    const [code] = reply.split(" ");

    expect(serverError(reply)).toEqual({ outcome: "refused", code, problem: reply });
  });

  it.each([
    [
      "up to 6.2",
      `ERR Error running script (call to f_${sha1}): @user_script:12: @user_script: 12: -OOM command not allowed.`,
    ],
    ["up to 6.2", `ERR Error running script (call to f_${sha1}): @user_script:12: OOM command not allowed.`],
    ["up to 6.2, returned", "@user_script: 12: -OOM command not allowed."],
    ["7.0", `OOM command not allowed. script: ${sha1}, on @user_script:12.`],
  ])("is the same inside a script as outside, as Redis wraps it: %s", (_, reply) => {
    expect(serverError(reply, call(["a"]))).toEqual({
      outcome: "refused",
      code: "OOM",
      problem: "OOM command not allowed. (settle.lua:12)",
    });
  });

  it("names the keys among which one is of the wrong type, the first eight", () => {
    const wrongType = "WRONGTYPE Operation against a key holding the wrong kind of value";
    const keys = Array.from({ length: 9 }, (_, i) => `k${i}`);

    expect(serverError(wrongType, call(["k"])).problem).toBe(`${wrongType}: k`);
    expect(serverError(wrongType, call(keys)).problem).toBe(`${wrongType}: one of k0, k1, k2, k3, k4, k5, k6, k7, …`);
    expect(serverError(wrongType, { name: "HGET", args: ["k", "field"] }).problem).toBe(`${wrongType}: k`);
  });

  it("is a failure when it is none of these, without what it quotes of our arguments, on one line", () => {
    expect(serverError("ERR unknown command 'X', with args beginning with: 'secret' 'more'").problem).toBe(
      "ERR unknown command 'X'",
    );
    expect(serverError("ERR one\r\ntwo").problem).toBe("ERR one two");
    expect(serverError(`ERR ${"x".repeat(1_000)}`).problem).toHaveLength(200);
    expect(serverError("lower case")).toEqual({ outcome: "failed", code: "", problem: "lower case" });
    expect(serverError("")).toEqual({ outcome: "failed", code: "", problem: "" });
  });
});
