import { channel } from "node:diagnostics_channel";
import type { Outcome, Reason } from "./outcome.js";

/**
 * What happens to tasks and to the broker, told on `node:diagnostics_channel`. Publishing costs nothing while nobody
 * listens. Payloads, results and headers are never in an event.
 */
const taskChannel = channel("holdfast.task");
export const brokerChannel = channel("holdfast.broker");

interface TaskRef {
  readonly queue: string;
  readonly type: string;
  readonly id: string;
}

/** On `holdfast.task`. */
export type TaskEvent =
  | (TaskRef & { readonly event: "enqueued"; readonly status: "enqueued" | "spooled" | "duplicate" | "idTaken" })
  | (TaskRef & { readonly event: "started"; readonly attempt: number })
  | (TaskRef & {
      readonly event: "finished";
      readonly attempt: number;
      readonly outcome: Outcome["kind"];
      readonly reason: Reason | undefined;
      readonly durationMs: number;
    })
  | (TaskRef & {
      readonly event: "settled";
      readonly outcome: Outcome["kind"];
      /** `presumed`: a first try had no answer, and the next found the lease gone, most likely for the first was carried out. */
      readonly receipt: "settled" | "presumed" | "leaseLost";
    })
  | (TaskRef & { readonly event: "abandoned"; readonly afterMs: number });

/** On `holdfast.broker`. */
export type BrokerEvent =
  | { readonly event: "up" | "down"; readonly broker: string; readonly problem: string }
  | {
      readonly event: "breaker";
      readonly broker: string;
      /** On a Cluster the node, as far as it is known; otherwise "". */
      readonly shard: string;
      readonly state: "closed" | "degraded" | "open" | "halfOpen";
      readonly reason: string;
    }
  /** A call, or a loop of a worker, neither ended nor failed in time; it was begun anew. */
  | { readonly event: "stuck"; readonly broker: string; readonly what: string; readonly afterMs: number }
  | { readonly event: "promoted" | "pruned"; readonly broker: string; readonly count: number }
  | {
      readonly event: "reclaimed";
      readonly broker: string;
      readonly queue: string;
      readonly id: string;
      readonly to: "pending" | "archived";
    }
  /** Storage has been restarted, or is elsewhere: what it acknowledged lately may be gone. */
  | {
      readonly event: "incarnationChanged";
      readonly broker: string;
      /** Those that were looked at. */
      readonly queues: readonly string[];
      /** "run id", "replication id", "address", "epoch", "owner", "data" */
      readonly changed: readonly string[];
      /** What was taken before this time is there all the same, Unix ms; undefined: that cannot be told. */
      readonly keptUntilMs: number | undefined;
    }
  | {
      readonly event: "dataLost";
      readonly broker: string;
      readonly problem: string;
      /** What it had taken before this time it still has, Unix ms; undefined: nothing is sure. */
      readonly keptUntilMs: number | undefined;
    }
  /** Storage may delete tasks when its memory is full, or has: its setting was changed. "noeviction": it may no more. */
  | {
      readonly event: "evicting";
      readonly broker: string;
      /** "host:port" */
      readonly node: string;
      readonly policy: string;
      /** Keys deleted since the last look. */
      readonly evicted: number;
    }
  /** Spooled tasks that storage may have lost are sent again. */
  | { readonly event: "replayed"; readonly broker: string; readonly count: number }
  | { readonly event: "leaseLost"; readonly broker: string; readonly queue: string; readonly id: string }
  | {
      /** `parked`: a spooled task that storage cannot take, or that this Holdfast cannot read. */
      readonly event: "setAside" | "parked";
      readonly broker: string;
      /** "" where it cannot be read. */
      readonly queue: string;
      readonly id: string;
      readonly problem: string;
    }
  /** A spool has taken over what a process that died had accepted. */
  | { readonly event: "spoolAdopted"; readonly directory: string; readonly tasks: number }
  | {
      /** A file of the spool cannot be read as it was written; `kept` is where it lies now. */
      readonly event: "spoolDamaged";
      readonly directory: string;
      readonly problem: string;
      /** At most so many tasks could not be read; undefined where nothing could be. */
      readonly lost: number | undefined;
      readonly kept: string;
    }
  /** The oldest task in the spool has waited longer than `maxAge`. */
  | { readonly event: "spoolOld"; readonly directory: string; readonly oldestAtMs: number };

export function tellTask(event: TaskEvent): void {
  if (taskChannel.hasSubscribers) taskChannel.publish(event);
}

export function tellBroker(event: BrokerEvent): void {
  if (brokerChannel.hasSubscribers) brokerChannel.publish(event);
}
