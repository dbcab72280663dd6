import { expect } from "vitest";
import type { TaskRef } from "../../src/broker/broker.js";
import { settled } from "../support/builders.js";
import { until } from "../support/until.js";
import { describeBroker } from "./describe-broker.js";

// Leases are renewed by a clock and a thread of the engine's own, so here time passes as it does.
describeBroker("keeping leases", ({ it }) => {
  it("renews what is held, and says what was lost", async (t) => {
    await t.broker.ping();
    const startMs = t.broker.clock.nowMs();
    const lost: TaskRef[] = [];
    const errors: unknown[] = [];
    const keeper = t.broker.keeper({
      leaseMs: 5_000,
      onLost: (refs) => lost.push(...refs),
      onError: (error) => errors.push(error),
    });
    await t.enqueue(["held", "dropped", "past its time", "nobody's"], startMs - t.at(0));
    const leased = await t.lease({ leaseMs: 5_000 }, startMs - t.at(0));
    const [held, dropped, past] = leased;
    const long = startMs + 3_600_000;
    const endMs = leased[0]!.lease.untilMs;

    keeper.hold([
      { lease: held!.lease, renewUntilMs: long },
      { lease: dropped!.lease, renewUntilMs: long },
      { lease: past!.lease, renewUntilMs: startMs + 500 },
    ]);
    keeper.drop([dropped!.lease]);
    // Leases are renewed every third of their length: after half of it those that will be have been.
    await until("leases have been renewed", () => t.broker.clock.nowMs() > startMs + 2_500);
    const reclaimed = await t.broker.reclaim([t.queue], 10, endMs);

    expect(reclaimed.map(({ id }) => id).toSorted((a, b) => a.localeCompare(b))).toEqual([
      "dropped",
      "nobody's",
      "past its time",
    ]);
    expect(lost).toEqual([]);

    await t.broker.reclaim([t.queue], 10, endMs + 3_600_000);
    await until("the loss is told", () => lost.length > 0);

    expect(lost).toEqual([{ queue: t.queue, id: "held" }]);
    expect(errors).toEqual([]);
    await keeper.close();
  });

  it("keeps the right of the holder to settle", async (t) => {
    await t.broker.ping();
    const startMs = t.broker.clock.nowMs() - t.at(0);
    const keeper = t.broker.keeper({ leaseMs: 5_000, onLost: () => {}, onError: () => {} });
    await t.enqueue(["1"], startMs);
    const task = await t.leaseOne({ leaseMs: 5_000 }, startMs);
    keeper.hold([{ lease: task.lease, renewUntilMs: t.at(startMs) + 60_000 }]);

    await until("the lease has been renewed", () => t.broker.clock.nowMs() > t.at(startMs) + 2_500);

    expect(await t.settle([settled.completed(task)], startMs + 2_500)).toEqual(["settled"]);
    keeper.drop([task.lease]);
    await keeper.close();
  });

  it("ends with its broker, and when it is told to, as often as it is told", async (t) => {
    const options = { leaseMs: 5_000, onLost: () => {}, onError: () => {} };
    const [one] = [t.broker.keeper(options), t.broker.keeper(options)];
    await one!.close();
    await one!.close();

    await t.broker.close();
    await one!.close();

    expect(() => t.broker.keeper(options)).toThrow(expect.objectContaining({ code: "CLOSED" }));
  });
});
