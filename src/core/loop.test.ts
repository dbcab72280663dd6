import { describe, expect, it } from "vitest";
import { loop, pause, untilSignal } from "./loop.js";

const never = (error: unknown) => {
  throw error;
};

describe("loop", () => {
  it("steps until the signal aborts, and ends when the last step has", async () => {
    const stop = new AbortController();
    const steps: string[] = [];

    await loop(
      async () => {
        steps.push("begin");
        if (steps.length > 4) stop.abort();
        await pause(1, new AbortController().signal);
        steps.push("end");
      },
      { everyMs: 0, signal: stop.signal, onError: never },
    );

    expect(steps).toEqual(["begin", "end", "begin", "end", "begin", "end"]);
  });

  it("waits as long as a step says, and everyMs where it says nothing", async () => {
    const stop = new AbortController();
    const startedMs = performance.now();

    let steps = 0;
    const quick = async () => {
      steps += 1;
      if (steps === 3) stop.abort();
      return 0;
    };
    await loop(quick, { everyMs: 3_600_000, signal: stop.signal, onError: never });
    expect(steps).toBe(3);

    const again = new AbortController();
    const slow = async () => {
      steps += 1;
      if (steps === 5) again.abort();
    };
    await loop(slow, { everyMs: 40, signal: again.signal, onError: never });
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(38);
  });

  it("goes on after a step that throws, tells of it, and pauses first", async () => {
    const stop = new AbortController();
    const errors: unknown[] = [];
    const startedMs = performance.now();

    await loop(
      async () => {
        if (errors.length === 2) stop.abort();
        else throw new Error(`boom ${errors.length}`);
      },
      { everyMs: 15, signal: stop.signal, onError: (error) => errors.push(error) },
    );

    expect(errors).toEqual([new Error("boom 0"), new Error("boom 1")]);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(28);
  });

  it("does not begin when the signal is aborted already, and wakes from its pause when it is", async () => {
    await loop(async () => never(new Error("stepped")), { everyMs: 0, signal: AbortSignal.abort(), onError: never });

    const stop = new AbortController();
    const step = async () => {
      setImmediate(() => stop.abort());
    };
    await loop(step, { everyMs: 3_600_000, signal: stop.signal, onError: never });

    expect(stop.signal.aborted).toBe(true);
  });
});

describe("untilSignal", () => {
  it("resolves with the first signal and stops listening", async () => {
    const listeners = () => process.listenerCount("SIGUSR2") + process.listenerCount("SIGWINCH");
    const before = listeners();
    const waiting = untilSignal(["SIGUSR2", "SIGWINCH"]);

    process.kill(process.pid, "SIGUSR2");

    expect(await waiting).toBe("SIGUSR2");
    expect(listeners()).toBe(before);
  });
});
