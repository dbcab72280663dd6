import type { NewTask } from "../core/message.js";
import type { EnqueueReceipt } from "./broker.js";

/** The durable local buffer of a client, used while storage is down: a store of accepted tasks, in order. */
export interface SpoolStore extends AsyncDisposable {
  /** Resolves when the tasks are durable on this machine. @throws SPOOL_FULL */
  append(tasks: readonly NewTask[], nowMs: number): Promise<void>;
  /** The oldest that storage has not confirmed, in the order of acceptance. */
  oldest(limit: number): Promise<readonly SpooledTask[]>;
  /** These left the spool: storage has them for good. */
  release(settled: readonly { readonly sequence: number; readonly receipt: EnqueueReceipt }[]): Promise<void>;
  stats(): Promise<{ readonly tasks: number; readonly bytes: number; readonly oldestAtMs: number | undefined }>;
  close(): Promise<void>;
}

export interface SpooledTask {
  readonly sequence: number;
  readonly acceptedAtMs: number;
  readonly task: NewTask;
}
