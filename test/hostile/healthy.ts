import { newTask } from "../support/builders.js";
import type { Mix } from "./mix.js";

/** Tasks beside the damage, each of which must run. */
export const healthyIn = (queue: string) => Array.from({ length: 5 }, (_, n) => newTask({ id: `healthy-${n}`, queue }));
export const isHealthy = (id: string): boolean => id.startsWith("healthy-");

export function unfinished(mix: Mix, queues: readonly string[]): string[] {
  return queues.flatMap((queue) =>
    healthyIn(queue)
      .filter(({ message }) => !mix.completed.has(`${queue} ${message.id}`))
      .map(({ message }) => `${message.id} of ${queue} was not completed`),
  );
}
