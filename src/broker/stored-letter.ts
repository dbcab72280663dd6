import type { TaskRef } from "./lease.js";
import type { Act } from "./roles.js";

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

/** Dead letters on their way out of storage and back into it. */
export interface LetterStore {
  /** As they are stored; undefined for one that there is not, or that is no dead letter. In order. */
  readLetters(refs: readonly TaskRef[]): Promise<(StoredLetter | undefined)[]>;
  /**
   * Put back what is not there, as it was; unique locks are not taken. What the engine has no place for among `fields` is
   * left out. One receipt each, in order.
   */
  adoptLetters(letters: readonly StoredLetter[], by: Act, nowMs: number): Promise<AdoptReceipt[]>;
}

/** `exists`: there is a task of that id in its queue, or in the trash of it. */
export type AdoptReceipt = "adopted" | "exists";
