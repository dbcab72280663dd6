import { expect, it } from "vitest";
import { Client, defineTask, HoldfastError, type TaskContext, Worker } from "../../src/index.js";
import type { Progress } from "../../src/broker/broker.js";
import { EmbeddedBroker } from "../../src/embedded/embedded-broker.js";
import { until } from "../support/until.js";

/** Notes what is written, and when. */
class NotingBroker extends EmbeddedBroker {
  readonly writes: { readonly atMs: number; readonly tasks: number }[] = [];
  override async report(progress: readonly Progress[]): Promise<void> {
    this.writes.push({ atMs: performance.now(), tasks: progress.length });
    return super.report(progress);
  }
}

const long = defineTask("long");

it("progress is written once a second at the most, for all tasks together, and the last value counts", async () => {
  await using broker = new NotingBroker(":memory:");
  const tasks: TaskContext[] = [];
  let end = () => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  const worker = new Worker(broker).handle(long, async (_, task) => {
    tasks.push(task);
    await ended;
  });
  const client = new Client(broker);
  const ids = [await client.enqueue(long()), await client.enqueue(long())].map(({ id }) => id);
  await worker.start();
  await until("both run", () => tasks.length === 2);

  for (let step = 1; step <= 500; step++) for (const task of tasks) task.progress({ step });
  await until("the first is written", () => broker.writes.length === 1);
  for (let step = 501; step <= 1_000; step++) for (const task of tasks) task.progress({ step });
  const seen = async () => (await broker.find(ids.map((id) => ({ queue: "default", id })))).map((one) => one?.progress);
  await until("the last is seen", async () => JSON.stringify(await seen()) === '[{"step":1000},{"step":1000}]');

  expect(broker.writes.map(({ tasks: count }) => count)).toEqual([2, 2]);
  expect(broker.writes[1]!.atMs - broker.writes[0]!.atMs).toBeGreaterThan(900);
  expect(() => tasks[0]!.progress(1n)).toThrow(HoldfastError);
  end();
  await worker.stop();
});
