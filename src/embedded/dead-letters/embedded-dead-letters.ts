import type { DeadLetterStore } from "../../broker/dead-letters.js";
import {
  type DocumentKind,
  type DocumentReceipt,
  type DocumentWrite,
  type StoredDocument,
  textOf,
} from "../../broker/documents.js";
import type { EvictionCause, EvictionReceipt, SeenLetter } from "../../broker/eviction.js";
import type { Act } from "../../broker/roles.js";
import type { StoreLink } from "../store-link.js";

/** Asks the store as the broker does. */
export type Ask = <T>(call: (link: StoreLink) => Promise<T>) => Promise<T>;

/** The verbs are in files of their own. */
export class EmbeddedDeadLetters implements DeadLetterStore {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  async readDocuments(kind: DocumentKind, ids?: readonly string[]): Promise<StoredDocument[]> {
    return this.#ask((link) => link.call("readDocuments", { kind, ids }));
  }

  async writeDocuments(
    kind: DocumentKind,
    writes: readonly DocumentWrite[],
    nowMs: number,
  ): Promise<DocumentReceipt[]> {
    const rows = writes.map(({ id, value, ifVersion }) => ({ id, text: textOf(id, value), ifVersion }));
    return this.#ask((link) => link.call("writeDocuments", { kind, rows, nowMs }));
  }

  async evict(
    queue: string,
    letters: readonly SeenLetter[],
    cause: EvictionCause,
    by: Act,
    nowMs: number,
  ): Promise<EvictionReceipt[]> {
    return this.#ask((link) => link.call("evict", { queue, letters, cause, by, nowMs }));
  }

  async evicted(queues: readonly string[]): Promise<Partial<Record<EvictionCause, number>>[]> {
    return this.#ask((link) => link.call("evicted", { queues }));
  }

  async diedSince(queues: readonly string[], timesMs: readonly number[]): Promise<number[][]> {
    return this.#ask((link) => link.call("diedSince", { queues, timesMs }));
  }

  async inReachOfGo(queues: readonly string[]): Promise<number[]> {
    return queues.map(() => 0);
  }
}
