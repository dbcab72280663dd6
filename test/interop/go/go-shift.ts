import type { Redis } from "ioredis";
import type { Broker, LeasedTask, Settlement } from "../../../src/broker/broker.js";
import { newTask, settled } from "../../support/builders.js";
import { until } from "../../support/until.js";
import type { Witness } from "./witness.js";

/** asynq takes a task for lost when its lease has been over for 30 s. */
const longAgoMs = 60_000;
/** What we leave to Go: one in each state from which its server takes tasks, and one that it only has to forget. */
const ids = ["waits", "later", "failed", "lost", "done"] as const;

/**
 * A worker of ours leases tasks in these queues, and dies; then a real server of asynq has its turn there. Its recoverer
 * looks once when it starts, its forwarder and its janitor within a moment.
 * @returns what is wrong
 */
export async function goShift(broker: Broker, go: Witness, redis: Redis, queues: readonly string[]): Promise<string[]> {
  const [told, warned] = [go.events.length, go.warnings.length];
  await leaveWork(broker, queues);
  await go.serve({
    queues: Object.fromEntries(queues.map((queue) => [queue, 1])),
    handlers: { "*": {} },
    forwardMs: 50,
    janitorMs: 50,
  });
  const isRun = (queue: string, id: string) =>
    go.events.slice(told).some((one) => one.event === "end" && one.queue === queue && one.id === id);
  const isOver = async (queue: string, id: string) =>
    (id === "done" || isRun(queue, id)) && (await redis.exists(`asynq:{${queue}}:t:${id}`)) === 0;
  const left = async () => {
    const all = queues.flatMap((queue) =>
      ids.map(async (id) => ((await isOver(queue, id)) ? [] : [`${id} of ${queue}`])),
    );
    return (await Promise.all(all)).flat();
  };
  let waits: readonly string[] = [];
  try {
    await until("Go has done all", async () => (waits = await left()).length === 0, 10_000);
  } catch {
    // What is left says more.
  }
  await go.stop();
  return [
    ...waits.map((what) => `Go's server does not come to ${what}`),
    ...go.warnings.slice(warned).map((line) => `Go's server says: ${line}`),
  ];
}

/** All that we do happens long ago. */
async function leaveWork(broker: Broker, queues: readonly string[]): Promise<void> {
  const nowMs = Date.now() - longAgoMs;
  const lease = { workerId: "w", limit: 10, leaseMs: 5_000, suspects: 1, queues };
  const put = (id: (typeof ids)[number], retentionMs = 0) =>
    queues.map((queue) => newTask({ id, queue, retentionMs }, id === "later" ? { processAtMs: nowMs + 5_000 } : {}));
  await broker.setPaused(queues, false, { actor: "test", reason: "", requestId: "r" }, nowMs);
  await broker.enqueue([...put("failed"), ...put("lost"), ...put("done", 1_000), ...put("later")], nowMs);
  const { leased } = await broker.exchange({ settle: [], lease: { ...lease, requestId: "go" } }, nowMs);
  const settle = leased.flatMap((task): Settlement[] => outcomeOf(task, nowMs));
  await broker.exchange({ settle }, nowMs + 1_000);
  await broker.enqueue(put("waits"), nowMs);
}

function outcomeOf(task: LeasedTask, nowMs: number): Settlement[] {
  if (task.lease.id === "failed") return [settled.retry(task, nowMs + 2_000)];
  return task.lease.id === "done" ? [settled.completed(task)] : [];
}
