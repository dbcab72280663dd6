import { syncBuiltinESMExports } from "node:module";
import timersPromises from "node:timers/promises";
import { seeded } from "../support/seeded.js";
import type { Planned, World } from "./world.js";

const longestMs = 2_147_483_647;
const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  setImmediate: globalThis.setImmediate,
  clearImmediate: globalThis.clearImmediate,
};
const realSleep = timersPromises.setTimeout;
const realNow = Date.now;
const realRandom = Math.random;

/** As much of Node's timer as anybody uses. */
class Timer {
  #planned: Planned | undefined;
  plan(planned: Planned): this {
    this.#planned = planned;
    return this;
  }
  clear(): void {
    this.#planned?.cancel();
    this.#planned = undefined;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

/**
 * While the work goes on, every timer, clock and choice of this process is the world's. The work must not wait for
 * anything that is not: nothing real happens meanwhile.
 */
export async function inVirtualTime<T>(world: World, work: () => Promise<T>): Promise<T> {
  Object.assign(globalThis, timersOf(world));
  performance.now = () => world.nowMs;
  Date.now = () => Math.floor(world.wallMs);
  Math.random = seeded(world.seed ^ 0x5eed);
  timersPromises.setTimeout = sleepOf(world) as typeof realSleep;
  syncBuiltinESMExports();
  // Thousands of calls fail in a run, and nobody reads where.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return await work();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    Object.assign(globalThis, real);
    Reflect.deleteProperty(performance, "now");
    Date.now = realNow;
    Math.random = realRandom;
    timersPromises.setTimeout = realSleep;
    syncBuiltinESMExports();
  }
}

/** What Node makes of a delay. */
const wholeMs = (ms: number | undefined) => (ms !== undefined && ms >= 1 && ms <= longestMs ? Math.trunc(ms) : 1);

function timersOf(world: World): object {
  type Act = (...args: unknown[]) => void;
  const clear = (timer: unknown) => {
    if (timer instanceof Timer) timer.clear();
  };
  return {
    setTimeout: (act: Act, ms?: number, ...args: unknown[]) =>
      new Timer().plan(world.in(wholeMs(ms), () => act(...args))),
    setImmediate: (act: Act, ...args: unknown[]) => new Timer().plan(world.in(0, () => act(...args))),
    setInterval: (act: Act, ms?: number, ...args: unknown[]) => {
      const timer = new Timer();
      const next = () => {
        timer.plan(world.in(wholeMs(ms), next));
        act(...args);
      };
      return timer.plan(world.in(wholeMs(ms), next));
    },
    clearTimeout: clear,
    clearInterval: clear,
    clearImmediate: clear,
  };
}

function sleepOf(world: World) {
  return (ms: number, value?: unknown, { signal }: { readonly signal?: AbortSignal } = {}) =>
    new Promise((resolve, reject) => {
      const fail = () => reject(Object.assign(new Error("aborted"), { name: "AbortError" }));
      if (signal?.aborted === true) return fail();
      const onAbort = () => {
        planned.cancel();
        fail();
      };
      const planned = world.in(wholeMs(ms), () => {
        signal?.removeEventListener("abort", onAbort);
        resolve(value);
      });
      signal?.addEventListener("abort", onAbort, { once: true });
      return undefined;
    });
}
