import { describe, expect, it } from "vitest";
import { resolve, resolveGiven, setting } from "./settings.js";

const table = {
  concurrency: setting.integer({ default: 10, min: 1, max: 1_000, says: "handlers at once" }),
  pollInterval: setting.duration({ default: "1s", min: "10ms", max: "1h", says: "pause" }),
  timeout: setting.duration({ default: undefined, says: "longest" }),
  strict: setting.flag({ default: false, says: "order" }),
  mode: setting.choice({ of: ["fast", "safe"], default: "safe", says: "how" }),
  startAt: setting.date({ says: "when" }),
};
const defaults = {
  concurrency: 10,
  pollIntervalMs: 1_000,
  timeoutMs: undefined,
  strict: false,
  mode: "safe",
  startAt: undefined,
};

describe("resolve", () => {
  it.each([undefined, {}, { concurrency: undefined }])(
    "fills in the defaults for %j, durations as ms, and freezes",
    (given) => {
      const options = resolve(table, given as object | undefined, "worker");

      expect(options).toEqual(defaults);
      expect(Object.isFrozen(options)).toBe(true);
    },
  );

  it("takes what is given", () => {
    const startAt = new Date(5);
    const given = {
      concurrency: 1_000,
      pollInterval: "1.5s",
      timeout: "0s",
      strict: true,
      mode: "fast",
      startAt,
    } as const;

    expect(resolve(table, given, "worker")).toEqual({
      concurrency: 1_000,
      pollIntervalMs: 1_500,
      timeoutMs: 0,
      strict: true,
      mode: "fast",
      startAt,
    });
  });

  it.each([
    [
      { concurency: 5 },
      "worker.concurency: is not an option; there are concurrency, pollInterval, timeout, strict, mode, startAt",
    ],
    [JSON.parse('{"__proto__": 1}'), "worker.__proto__: is not an option; there are concurrency"],
    [{ toString: 1 }, "worker.toString: is not an option"],
    [{ ["x".repeat(500)]: 1 }, `worker.${"x".repeat(64)}: is not an option`],
    [{ concurrency: 0 }, "worker.concurrency: must be a whole number, 1 … 1000, got 0"],
    [{ concurrency: 1_001 }, "worker.concurrency: must be a whole number, 1 … 1000, got 1001"],
    [{ concurrency: -1 }, "got -1"],
    [{ concurrency: 1.5 }, "got 1.5"],
    [{ concurrency: Number.NaN }, "got NaN"],
    [{ concurrency: Number.POSITIVE_INFINITY }, "got Infinity"],
    [{ concurrency: 1e21 }, "got 1e+21"],
    [{ concurrency: 10n }, "got 10n"],
    [{ concurrency: "10" }, 'got "10"'],
    [{ concurrency: null }, "worker.concurrency: must be a whole number, 1 … 1000, got null"],
    [{ pollInterval: 30 }, 'worker.pollInterval: must be a duration such as "30s" (units: ms, s, m, h, d), got 30'],
    [{ pollInterval: "30 s" }, 'got "30 s"'],
    [{ pollInterval: "9ms" }, 'worker.pollInterval: must be a duration, 10ms … 1h, got "9ms"'],
    [{ pollInterval: "61m" }, 'must be a duration, 10ms … 1h, got "61m"'],
    [{ strict: "yes" }, 'worker.strict: must be true or false, got "yes"'],
    [{ mode: "slow" }, 'worker.mode: must be one of "fast", "safe", got "slow"'],
    [{ mode: "toString" }, "must be one of"],
    [{ startAt: new Date(Number.NaN) }, "worker.startAt: must be a valid Date, got an invalid Date"],
    [{ startAt: 1_700_000_000 }, "must be a valid Date, got 1700000000"],
    [{ startAt: "2026-01-01" }, 'must be a valid Date, got "2026-01-01"'],
    [null, "worker: must be an object, got null"],
    [[], "worker: must be an object, got an array"],
    ["10", 'worker: must be an object, got "10"'],
    [() => {}, "worker: must be an object, got a function"],
  ])("refuses %s: %s", (given, sentence) => {
    const attempt = () => resolve(table, given as object, "worker");

    expect(attempt).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
    expect(attempt).toThrow(sentence);
  });
});

describe("resolveGiven", () => {
  it("answers what was given, and no defaults", () => {
    expect(resolveGiven(table, { timeout: "2s", strict: undefined }, "call")).toEqual({ timeoutMs: 2_000 });
  });

  it("checks like resolve", () => {
    expect(() => resolveGiven(table, { concurrency: 0 }, "call")).toThrow("call.concurrency: must be a whole number");
    expect(() => resolveGiven(table, { timeout: null } as object, "call")).toThrow("call.timeout: must be a duration");
    expect(() => resolveGiven(table, { tiemout: "2s" } as object, "call")).toThrow("call.tiemout: is not an option");
  });
});
