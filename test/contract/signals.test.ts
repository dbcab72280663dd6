import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { Signal } from "../../src/broker/roles.js";
import { until } from "../support/until.js";
import { describeBroker, type Trial } from "./describe-broker.js";

/** Another broker that listens to the test's queue, or to these, and what it has heard. */
async function listening(t: Trial, queues: readonly string[] = [t.queue]) {
  const heard: Signal[] = [];
  const broker = t.another();
  const subscription = await broker.subscribe(queues, (signal) => heard.push(signal));
  await until("it listens", () => subscription.listening);
  return { heard, subscription };
}

describeBroker("signals", ({ it }) => {
  it(
    "tell of a task that another broker puts into a queue that is listened to",
    async (t) => {
      const { heard } = await listening(t, [t.queueNamed("other"), t.queue]);

      await t.enqueue(["1"]);

      await until("it is told", () => heard.length > 0);
      expect(heard[0]).toSatisfy(
        (signal: Signal) => signal.kind === "wake" && [t.queue, undefined].includes(signal.queue),
      );
    },
    { needs: "signals" },
  );

  it(
    "tell of what came while the listener was busy, as soon as it is not",
    async (t) => {
      const { heard, subscription } = await listening(t);
      subscription.watch(false);

      await t.enqueue(["1"]);
      subscription.watch(true);

      await until("it is told", () => heard.length > 0);
    },
    { needs: "signals" },
  );

  it(
    "tell of what came while the listener was busy, however shortly it was not in between",
    async (t) => {
      const { heard, subscription } = await listening(t);
      subscription.watch(false);
      await t.enqueue(["1"]);
      await sleep(50);

      subscription.watch(true);
      subscription.watch(false);
      await sleep(50);
      subscription.watch(true);

      await until("it is told", () => heard.length > 0);
    },
    { needs: "signals" },
  );

  it(
    "tell again when the listener has looked, and found nothing",
    async (t) => {
      const { heard, subscription } = await listening(t);

      for (const id of ["1", "2", "3"]) {
        heard.length = 0;
        await t.enqueue([id]);
        await until(`${id} is told`, () => heard.length > 0);
        await t.lease();
        subscription.watch(true);
      }
    },
    { needs: "signals" },
  );

  it(
    "tell of a task that falls due, comes back, or was left behind",
    async (t) => {
      const { heard, subscription } = await listening(t);
      const told = async (what: string, act: () => Promise<unknown>) => {
        heard.length = 0;
        subscription.watch(true);
        await act();
        await until(`${what} is told`, () => heard.length > 0);
        expect(await t.lease({ leaseMs: 5_000 }, 1_000)).toHaveLength(1);
      };

      await t.enqueue([t.task("due", {}, { processAtMs: t.at(1_000) })]);
      await told("one that falls due", () => t.promote(1_000));
      await told("one that was left behind", () => t.reclaim(40_000));
    },
    { needs: "signals" },
  );

  it(
    "do not tell of other queues",
    async (t) => {
      const { heard } = await listening(t);

      await t.elsewhere().enqueue(["1"]);
      await t.enqueue(["2"]);

      await until("its own is told", () => heard.length > 0);
      expect(heard).toHaveLength(1);
    },
    { needs: "signals" },
  );
});
