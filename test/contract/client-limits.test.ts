import { expect } from "vitest";
import { silent } from "../../src/core/log.js";
import { Client, defineTask, fixed, HoldfastError, Worker } from "../../src/index.js";
import { until } from "../support/until.js";
import { describeBroker } from "./describe-broker.js";

describeBroker("limits of clients and of types", ({ it }) => {
  it("a queue that is as long as allowed takes no more until workers have made room, and others do", async (t) => {
    const full = defineTask("full", { queue: t.queue });
    const free = defineTask("free", { queue: t.queueNamed("free") });
    const client = new Client(t.broker, { maxPending: 3 });
    await new Client(t.broker).enqueueAll([full(), full(), full()]);
    const refusal = await client.enqueue(full()).catch((thrown: unknown) => thrown);

    expect(HoldfastError.is(refusal, "QUEUE_FULL") && refusal.data).toMatchObject({ queue: t.queue, pending: 3 });
    expect(await client.enqueue(free())).toMatchObject({ status: "enqueued" });

    const options = { queues: { [t.queue]: 1 }, log: silent };
    await new Worker(t.broker, options).handle(full, async () => {}).drain();
    const again = () => client.enqueue(full()).catch(() => ({ status: "refused" }));
    await until("it has looked again", async () => (await again()).status === "enqueued");
  });

  it("retries beyond a type's budget come one after the other", async (t) => {
    const stormy = defineTask("stormy", { queue: t.queue, retry: fixed("1h"), retryBudget: { perMinute: 6 } });
    await new Client(t.broker).enqueueAll(Array.from({ length: 8 }, () => stormy()));
    const fail = () => {
      throw new Error("away");
    };
    const startedAtMs = t.broker.clock.nowMs();

    await new Worker(t.broker, { queues: { [t.queue]: 1 }, log: silent }).handle(stormy, fail).drain();

    const { items } = await t.broker.list({ queue: t.queue, state: "retry" }, { limit: 20 });
    const later = items.map(({ dueAtMs }) => Math.floor((dueAtMs! - startedAtMs - 3_600_000) / 10_000));
    expect(later.toSorted((a, b) => a - b)).toEqual([0, 0, 0, 0, 0, 0, 1, 2]);
  });
});
