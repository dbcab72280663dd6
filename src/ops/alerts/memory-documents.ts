import type {
  DocumentKind,
  DocumentReceipt,
  Documents,
  DocumentWrite,
  StoredDocument,
} from "../../broker/documents.js";

/** Documents of this process alone: what must be told while storage is away can be kept nowhere else. */
export class MemoryDocuments implements Documents {
  readonly #stored = new Map<string, StoredDocument>();

  async readDocuments(kind: DocumentKind, ids?: readonly string[]): Promise<StoredDocument[]> {
    const all = [...this.#stored].filter(([key]) => key.startsWith(`${kind} `)).map(([, one]) => one);
    return ids === undefined ? all : all.filter(({ id }) => ids.includes(id));
  }

  async writeDocuments(kind: DocumentKind, writes: readonly DocumentWrite[]): Promise<DocumentReceipt[]> {
    return writes.map(({ id, value, ifVersion }) => {
      const key = `${kind} ${id}`;
      const version = this.#stored.get(key)?.version ?? 0;
      if (version !== ifVersion) return { status: "conflict" };
      if (value === undefined) this.#stored.delete(key);
      else this.#stored.set(key, { id, version: version + 1, value });
      return { status: "written", version: version + 1 };
    });
  }
}
