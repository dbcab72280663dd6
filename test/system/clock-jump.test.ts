import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, expect, it } from "vitest";
import type { BrokerEvent } from "../../src/index.js";
import { Client, defineTask, Worker } from "../../src/index.js";
import { testBroker } from "../../src/testing/index.js";
import { until } from "../support/until.js";

const events: BrokerEvent[] = [];
const listener = (event: unknown) => void events.push(event as BrokerEvent);
subscribe("holdfast.broker", listener);
afterEach(() => unsubscribe("holdfast.broker", listener));

it("a clock that jumps, as when a machine wakes up, takes no lease before its worker could renew it", async () => {
  await using broker = testBroker();
  const task = defineTask("held");
  await new Client(broker).enqueue(task());
  const lease = { workerId: "w", requestId: "r", queues: ["default"], limit: 1, leaseMs: 30_000, suspects: 0 };
  await broker.exchange({ settle: [], lease }, broker.clock.nowMs());
  let ran = 0;
  await using worker = new Worker(broker, { leaseDuration: "5s" }).handle(task, () => void (ran += 1));
  await worker.start();

  broker.clock.advance("1m");
  const jumpedAtMs = performance.now();
  await until("its lease has run out, and nobody has renewed it", () => ran === 1, 9_000);

  // A worker with leases of 5 s renews them every 1.7 s.
  expect(performance.now() - jumpedAtMs).toBeGreaterThan(2_500);
  expect(events.filter(({ event }) => event === "reclaimed")).toHaveLength(1);
});
