import { newId } from "../../src/core/ids.js";
import type { NewTask } from "../../src/core/message.js";
import type { Failure } from "../../src/core/outcome.js";
import { connect } from "../../src/index.js";
import { settled } from "./builders.js";

/** Tasks that come into storage and die there at once. */
export async function die(url: string, tasks: readonly NewTask[], why?: Partial<Failure>): Promise<void> {
  await using broker = connect(url);
  const nowMs = broker.clock.nowMs();
  await broker.enqueue(tasks, nowMs);
  const queues = [...new Set(tasks.map(({ message }) => message.queue))];
  const lease = { workerId: "w", requestId: newId(nowMs), queues, limit: tasks.length, leaseMs: 30_000, suspects: 1 };
  const { leased } = await broker.exchange({ settle: [], lease }, nowMs);
  await broker.exchange({ settle: leased.map((task) => settled.archived(task, why)) }, nowMs);
}
