import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { TaskRef } from "../../src/broker/broker.js";
import { settled } from "../support/builders.js";
import { until } from "../support/until.js";
import { describeBroker, type Trial } from "./describe-broker.js";

/**
 * Resolves when leases that end at `endMs` have been renewed. Looking whether one is over takes it, so there is one to
 * spare for each look.
 */
async function renewed(t: Trial, spare: readonly string[], endMs: number): Promise<void> {
  for (const queue of spare) {
    await sleep(250);
    if ((await t.broker.reclaim([queue], 1, endMs)).length === 0) return;
  }
  throw new Error("no lease was renewed");
}

// Leases are renewed by a clock and a thread of the engine's own, so here time passes as it does.
describeBroker("keeping leases", ({ it }) => {
  it(
    "renews what is held, for its holder to settle, and says what was lost",
    async (t) => {
      await t.broker.ping();
      const startMs = t.broker.clock.nowMs();
      const lost: TaskRef[] = [];
      const errors: unknown[] = [];
      const keeper = t.broker.keeper({
        leaseMs: 5_000,
        onLost: (refs) => lost.push(...refs),
        onError: (error) => errors.push(error),
      });
      const spare = Array.from({ length: 32 }, (_, n) => t.queueNamed(`spare-${n}`));
      await t.enqueue(["held", "kept", "dropped", "past its time", "nobody's"]);
      await t.enqueue(spare.map((queue) => t.task("spare", { queue })));
      const lease = { ...t.request({ queues: [t.queue, ...spare], leaseMs: 5_000 }) };
      const { leased } = await t.broker.exchange({ settle: [], lease }, startMs);
      const [held, kept, dropped, past, , ...spares] = leased;
      const long = startMs + 3_600_000;
      const endMs = held!.lease.untilMs;

      // What is held again is held anew.
      keeper.hold([
        { lease: past!.lease, renewUntilMs: long },
        { lease: held!.lease, renewUntilMs: startMs - 1 },
      ]);
      keeper.hold([
        { lease: past!.lease, renewUntilMs: startMs - 1 },
        ...[held!, kept!, dropped!, ...spares].map((task) => ({ lease: task.lease, renewUntilMs: long })),
      ]);
      keeper.drop([dropped!.lease]);
      await renewed(t, spare, endMs);
      const reclaimed = await t.broker.reclaim([t.queue], 10, endMs);

      expect(new Set(reclaimed.map(({ id }) => id))).toEqual(new Set(["dropped", "past its time", "nobody's"]));
      const ours = () => lost.filter(({ queue }) => queue === t.queue);
      expect(ours()).toEqual([]);
      keeper.drop([kept!.lease]);
      expect(await t.settle([settled.completed(kept!)])).toEqual(["settled"]);

      await t.broker.reclaim([t.queue], 10, endMs + 3_600_000);
      await until("the loss is told", () => ours().length > 0, 8_000);

      expect(ours()).toEqual([{ queue: t.queue, id: "held", token: held!.lease.token }]);
      expect(errors).toEqual([]);
      await keeper.close();
    },
    { timeoutMs: 30_000 },
  );

  it(
    "ends with its broker, and when it is told to, as often as it is told",
    async (t) => {
      const options = { leaseMs: 5_000, onLost: () => {}, onError: () => {} };
      const [one] = [t.broker.keeper(options), t.broker.keeper(options)];
      await one!.close();
      await one!.close();

      await t.broker.close();
      await one!.close();

      expect(() => t.broker.keeper(options)).toThrow(expect.objectContaining({ code: "CLOSED" }));
    },
    { closes: true },
  );
});
