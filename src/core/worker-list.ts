import { HoldfastError } from "./errors.js";
import type { WorkerInfo } from "./info.js";
import { listInPart, problemOf } from "./queue-list.js";

/** A worker that is alive, and of which no more can be told: the node of a Cluster that has it does not answer. */
export interface UnavailableWorker {
  readonly id: string;
  /** The node, "host:port", as far as it is known; otherwise "". */
  readonly shard: string;
  /** Why. */
  readonly problem: string;
}

/** Workers. While part of storage is away: those of the others, and which there are of which nothing can be told. */
export type WorkerList = WorkerInfo[] & { readonly unavailable: readonly UnavailableWorker[] };

export const workerList = (workers: WorkerInfo[], unavailable: readonly UnavailableWorker[] = []): WorkerList =>
  listInPart(workers, unavailable);

/** For who needs these, or has told of the others. */
export function unavailableWorkers(
  broker: string,
  unavailable: readonly UnavailableWorker[],
): HoldfastError<"BROKER_UNAVAILABLE"> {
  const workers = unavailable.map(({ id }) => id);
  const problem = problemOf("worker", workers, unavailable);
  return new HoldfastError("BROKER_UNAVAILABLE", { broker, problem, outcome: "notSent", taskIds: [], workers });
}
