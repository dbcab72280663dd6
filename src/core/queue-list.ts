import { HoldfastError } from "./errors.js";
import type { QueueInfo } from "./info.js";

/** A queue that could not be asked: the part of storage that has it, a node of a Cluster, does not answer. */
export interface UnavailableQueue {
  /** "*": others, whose names are not known. */
  readonly name: string;
  /** The node, "host:port", as far as it is known; otherwise "". */
  readonly shard: string;
  /** Why. */
  readonly problem: string;
}

/** Queues by name. While part of storage is away: those of the others, and which there are that could not be asked. */
export type QueueList = QueueInfo[] & { readonly unavailable: readonly UnavailableQueue[] };

/** Whoever prints such a list sees what is missing, where something is. */
export const queueList = (queues: QueueInfo[], unavailable: readonly UnavailableQueue[] = []): QueueList =>
  Object.defineProperty(queues, "unavailable", {
    value: unavailable,
    enumerable: unavailable.length > 0,
  }) as QueueList;

export const otherQueues = "*";

/** So many names are said in a sentence. */
const mostNames = 5;

/** For who needs these, or has told of the others. */
export function unavailableQueues(
  broker: string,
  unavailable: readonly UnavailableQueue[],
): HoldfastError<"BROKER_UNAVAILABLE"> {
  const queues = unavailable.map(({ name }) => name);
  const why = [...new Set(unavailable.map(({ problem }) => problem))].join("; ");
  const problem = `${inWords(queues)} could not be asked: ${why}`;
  return new HoldfastError("BROKER_UNAVAILABLE", { broker, problem, outcome: "notSent", taskIds: [], queues });
}

function inWords(queues: readonly string[]): string {
  const named = queues.filter((name) => name !== otherQueues);
  if (named.length === 0) return "other queues";
  const names = named.slice(0, mostNames).map((name) => JSON.stringify(name));
  const more = named.length > mostNames ? [`${named.length - mostNames} more`] : [];
  const others = named.length < queues.length ? " and others" : "";
  return `${named.length === 1 ? "queue" : "queues"} ${[...names, ...more].join(", ")}${others}`;
}
