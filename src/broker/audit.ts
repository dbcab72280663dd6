import type { Act } from "./roles.js";

/**
 * The logs of what was done by hand. What changes a queue or its tasks is in the log of that queue, written with the deed
 * itself; what belongs to no queue, or to several, is in one log for all, whose name is "". A sealer chains and signs all
 * of them (ops/audit): what it has not seen yet is unprotected.
 */
export interface AuditStore {
  /**
   * Append to the log for all queues. For what cannot be written with its deed: before the deed, where it cannot be undone.
   * No payload, no error text, no secret.
   */
  append(acts: readonly NewAct[], nowMs: number): Promise<void>;
  /** "" and the names of queues that may have a log. */
  logs(): Promise<string[]>;
  /** Of each log, in order, up to `limit` acts behind a place, the oldest first; `newest`: the last ones, the newest first. */
  read(
    logs: readonly { readonly log: string; readonly after?: string | undefined }[],
    limit: number,
    newest?: boolean,
  ): Promise<AuditEntry[][]>;
  /** Where the sealer is. */
  sealing(): Promise<Sealing>;
  /**
   * Append to the chain, at most 500 records and about 1 MiB, and keep how far each log is sealed. False, and nothing is written, where the chain does not end
   * any more as it did: another sealer was faster.
   */
  seal(records: readonly SealedText[], after: ChainEnd | undefined, places: readonly LogPlace[]): Promise<boolean>;
  /** Records of the chain from a number on, up to `limit`, in order. */
  sealed(from: number, limit: number): Promise<SealedText[]>;
  /** Takes away the records before a number. */
  trimSealed(before: number): Promise<void>;
}

/** The last record of a chain: its number, from 1 on, and its hash. */
export interface ChainEnd {
  readonly n: number;
  readonly hash: string;
}

export interface SealedText extends ChainEnd {
  /** The record, as one line of JSON. */
  readonly text: string;
}

/** How far a log is sealed. */
export interface LogPlace extends Pick<AuditEntry, "log" | "number"> {
  /** Of the last act that is; "" where the log is to begin anew, for its queue was dropped. */
  readonly id: string;
}

export interface Sealing {
  readonly places: readonly LogPlace[];
  /** Of the chain, as it was when the places were kept. A chain that is shorter was cut. */
  readonly head: ChainEnd | undefined;
  /** Of what is there. */
  readonly last: ChainEnd | undefined;
  /** Records that are there. */
  readonly count: number;
}

export interface NewAct extends Act {
  /** "redrive start", "rule add". */
  readonly verb: string;
  /** What it was done to: ids as JSON, a state, a document's kind and id. At most 64 KiB. */
  readonly what: string;
  /** How many tasks; 0 where it is not about tasks. */
  readonly count: number;
}

/** As it is stored; anybody may have written there, so nothing of it is more than text. */
export interface AuditEntry extends NewAct {
  /** The queue whose log has it; "" for the one for all. */
  readonly log: string;
  /** Its place in the log. */
  readonly id: string;
  /** Acts of a log are counted from 1, so that one that is missing is missed; undefined in logs of older releases. */
  readonly number: number | undefined;
  readonly atMs: number;
}

/** A queue's own log is dropped with it; this says so in the log for all, with how many acts that one had counted. */
export const droppedAct = (queue: string, acts: number) => ({
  verb: "drop",
  what: JSON.stringify({ queue, acts }),
  count: 0,
});
