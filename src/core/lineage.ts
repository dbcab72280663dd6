import type { TaskMessage } from "./message.js";

/** The header of a copy: "queue/id" of the task that it was made of. It travels with the message, to Go and on. */
export const lineage = "hf-of";

/** Which task this one is a copy of. The names of queues that can be written have no slash. */
export function copiedFrom({ headers }: Pick<TaskMessage, "headers">): { queue: string; id: string } | undefined {
  const [, queue, id] = /^([^/]+)\/(.+)$/s.exec(headers[lineage] ?? "") ?? [];
  return queue === undefined || id === undefined ? undefined : { queue, id };
}
