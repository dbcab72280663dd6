import type { DeadLetterStore } from "../../broker/dead-letters.js";
import type { DocumentKind, DocumentReceipt, DocumentWrite, StoredDocument } from "../../broker/documents.js";
import type { RedisLink } from "../link.js";
import { readDocuments, writeDocuments } from "./documents.js";

/** Runs a verb as the broker runs its own. */
export type Run = <T>(verb: (link: RedisLink) => Promise<T>) => Promise<T>;

/** The verbs are in files of their own. */
export class RedisDeadLetters implements DeadLetterStore {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  async readDocuments(kind: DocumentKind, ids?: readonly string[]): Promise<StoredDocument[]> {
    return this.#run((link) => readDocuments(link, kind, ids));
  }

  async writeDocuments(
    kind: DocumentKind,
    writes: readonly DocumentWrite[],
    nowMs: number,
  ): Promise<DocumentReceipt[]> {
    return this.#run((link) => writeDocuments(link, kind, writes, nowMs));
  }
}
