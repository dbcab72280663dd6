import { expect, it } from "vitest";
import { Client, defineTask, fixed, Worker } from "../../src/index.js";
import { testBroker } from "../../src/testing/index.js";

const report = defineTask<{ day: string }>("report", { retry: fixed("10m") });

it("a test puts the clock forward instead of waiting", async () => {
  const broker = testBroker();
  const client = new Client(broker);
  let attempts = 0;
  const drain = () =>
    new Worker(broker)
      .handle(report, () => {
        attempts += 1;
        if (attempts === 1) throw new Error("the first one fails");
      })
      .drain();

  await client.enqueue(report({ day: "2026-01-01" }, { processIn: "24h" }));
  expect(await drain()).toMatchObject({ completed: 0, retried: 0 });
  broker.clock.advance("24h");
  expect(await drain()).toMatchObject({ completed: 0, retried: 1 });
  broker.clock.advance("11m");
  expect(await drain()).toMatchObject({ completed: 1, retried: 0 });

  await broker.close();
});
