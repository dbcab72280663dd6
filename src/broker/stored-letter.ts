import type { TaskRef } from "./lease.js";

/** A dead letter as storage holds it, whole: enough to put it back as it was. */
export interface StoredLetter extends TaskRef {
  /** When it became a dead letter, Unix ms, whole seconds. */
  readonly archivedAtMs: number;
  /** The stored message, byte for byte. */
  readonly message: Uint8Array;
  /**
   * What else is stored of it, by its name without our prefix: `failure`, `history`, `crashes`, `returns`, `once`, `spool`,
   * `result`, `effect:<key>` … An engine leaves out what only its own indexes need.
   */
  readonly fields: ReadonlyMap<string, Uint8Array>;
}
