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

export const queueList = (queues: QueueInfo[], unavailable: readonly UnavailableQueue[] = []): QueueList =>
  listInPart(queues, unavailable);

/** Whoever prints such a list sees what is missing, where something is. */
export const listInPart = <T, M>(list: T[], unavailable: readonly M[]) =>
  Object.defineProperty(list, "unavailable", {
    value: unavailable,
    enumerable: unavailable.length > 0,
  }) as T[] & { readonly unavailable: readonly M[] };

export const otherQueues = "*";

/** So many names are said in a sentence. */
const mostNames = 5;

/** For who needs these, or has told of the others. */
export function unavailableQueues(
  broker: string,
  unavailable: readonly UnavailableQueue[],
): HoldfastError<"BROKER_UNAVAILABLE"> {
  const queues = unavailable.map(({ name }) => name);
  const problem = problemOf("queue", queues, unavailable);
  return new HoldfastError("BROKER_UNAVAILABLE", { broker, problem, outcome: "notSent", taskIds: [], queues });
}

/** As a sentence. */
export function problemOf(
  kind: "queue" | "worker",
  names: readonly string[],
  unavailable: readonly { readonly problem: string }[],
): string {
  const why = [...new Set(unavailable.map(({ problem }) => problem))].join("; ");
  return `${inWords(kind, names)} could not be asked: ${why}`;
}

function inWords(kind: string, all: readonly string[]): string {
  const named = all.filter((name) => name !== otherQueues);
  if (named.length === 0) return `other ${kind}s`;
  const names = named.slice(0, mostNames).map((name) => JSON.stringify(name));
  const more = named.length > mostNames ? [`${named.length - mostNames} more`] : [];
  const others = named.length < all.length ? " and others" : "";
  return `${kind}${named.length === 1 ? "" : "s"} ${[...names, ...more].join(", ")}${others}`;
}
