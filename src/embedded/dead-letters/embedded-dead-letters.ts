import type { DeadLetterStore } from "../../broker/dead-letters.js";
import {
  type DocumentKind,
  type DocumentReceipt,
  type DocumentWrite,
  type StoredDocument,
  textOf,
} from "../../broker/documents.js";
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
}
