import { HoldfastError, invalidOption } from "../../core/errors.js";
import { unavailableQueues } from "../../core/queue-list.js";
import type { TaskInfo } from "../../index.js";
import type { Opened } from "../storage.js";

/** @throws TASK_NOT_FOUND */
export async function findIn({ inspector }: Opened, queue: string, ids: readonly string[]): Promise<TaskInfo[]> {
  if (ids.length === 0) throw invalidOption("ID", "which task? Give its id");
  return Promise.all(ids.map((id) => inspector.require(queue, id)));
}

/**
 * Ids are unique in their queue, so there may be more than one; they are UUIDs mostly.
 * @throws TASK_NOT_FOUND
 * @throws BROKER_UNAVAILABLE where it may be in a queue that cannot be asked
 */
export async function findAnywhere(
  { broker, inspector }: Pick<Opened, "broker" | "inspector">,
  id: string,
): Promise<TaskInfo> {
  const queues = await inspector.queues();
  const found = await Promise.all(queues.map(({ name }) => inspector.find(name, id)));
  const task = found.find((one) => one?.state === "archived") ?? found.find((one) => one !== undefined);
  if (task === undefined && queues.unavailable.length > 0) throw unavailableQueues(broker.label, queues.unavailable);
  if (task === undefined) throw new HoldfastError("TASK_NOT_FOUND", { queue: "*", id });
  return task;
}
