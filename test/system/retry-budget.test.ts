import { expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { Client, defineTask, fixed, Worker } from "../../src/index.js";
import { testBroker } from "../../src/testing/index.js";

it("a type's retries beyond its budget come later, one after the other; none is lost, each counts once", async () => {
  await using broker = testBroker();
  const options = { retry: fixed("10s"), maxRetry: 3 };
  const stormy = defineTask("stormy", { ...options, retryBudget: { perMinute: 6 } });
  const calm = defineTask("calm", options);
  await new Client(broker).enqueueAll(Array.from({ length: 10 }, () => [stormy(), calm()]).flat());
  const fail = () => {
    throw new Error("away");
  };
  const worker = () => new Worker(broker, { log: silent }).handle(stormy, fail).handle(calm, fail);
  const failedAtMs = broker.clock.nowMs();

  expect(await worker().drain()).toMatchObject({ retried: 20, archived: 0 });

  const { items } = await broker.list({ queue: "default", state: "retry" }, { limit: 100 });
  const delaysOf = (type: string) =>
    items
      .filter(({ message }) => message?.type === type && message.retried === 1)
      .map(({ dueAtMs }) => Math.floor((dueAtMs! - failedAtMs) / 10_000));
  expect(delaysOf("calm")).toEqual(Array.from({ length: 10 }, () => 1));
  expect(delaysOf("stormy")).toEqual([1, 1, 1, 1, 1, 1, 2, 3, 4, 5]);

  for (let again = 0; again < 3; again += 1) {
    broker.clock.advance("2m");
    await worker().drain();
  }
  const dead = await broker.list({ queue: "default", state: "archived" }, { limit: 100 });
  expect(dead.items.map(({ message }) => message?.retried)).toEqual(Array.from({ length: 20 }, () => 3));
});
