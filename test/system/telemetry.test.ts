import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { type BrokerEvent, Client, defineTask, fixed, type TaskEvent, Worker } from "../../src/index.js";
import { testBroker } from "../../src/testing/index.js";

it("tells each step of a task on diagnostics channels, never its payload, and counts along", async () => {
  const events: (TaskEvent | BrokerEvent)[] = [];
  const listen = (event: unknown) => void events.push(event as TaskEvent | BrokerEvent);
  subscribe("holdfast.task", listen);
  subscribe("holdfast.broker", listen);
  const broker = testBroker();
  try {
    const client = new Client(broker);
    const task = defineTask<{ secret: string }>("told", { retry: fixed("1m"), maxRetry: 1 });
    const worker = () =>
      new Worker(broker, { log: silent }).handle(task, (_payload, { attempt }) => {
        if (attempt === 1) throw new Error("the first one fails");
      });

    const { id } = await client.enqueue(task({ secret: "hunter2" }, { unique: "1h", headers: { token: "hunter2" } }));
    await client.enqueue(task({ secret: "hunter2" }, { unique: "1h" }));
    expect(await worker().drain()).toMatchObject({ retried: 1, completed: 0 });
    broker.clock.advance("2m");
    const second = worker();
    await second.drain();

    const about = { queue: "default", type: "told", id };
    expect(events.filter((event) => "id" in event && event.id === id)).toMatchObject([
      { event: "enqueued", status: "enqueued", ...about },
      { event: "enqueued", status: "duplicate", ...about },
      { event: "started", attempt: 1, ...about },
      { event: "finished", attempt: 1, outcome: "retry", reason: "failed", ...about },
      { event: "settled", outcome: "retry", receipt: "settled", ...about },
      { event: "started", attempt: 2, ...about },
      { event: "finished", attempt: 2, outcome: "completed", reason: undefined, ...about },
      { event: "settled", outcome: "completed", receipt: "settled", ...about },
    ]);
    expect(JSON.stringify(events)).not.toContain("hunter2");
    expect(client.counters()).toMatchObject({ enqueued: 1, duplicate: 1, idTaken: 0, failed: 0 });
    expect(second.counters()).toEqual({
      completed: 1,
      retried: 0,
      archived: 0,
      revoked: 0,
      released: 0,
      leaseLost: 0,
      running: 0,
    });
  } finally {
    unsubscribe("holdfast.task", listen);
    unsubscribe("holdfast.broker", listen);
    await broker.close();
  }
});
