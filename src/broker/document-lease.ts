import type { DocumentKind, Documents, StoredDocument } from "./documents.js";

/** Who holds a lease, and until when it has said so, Unix ms. */
export interface LeaseTerm {
  readonly holder: string;
  readonly untilMs: number;
}

export interface LeasePlace {
  readonly kind: DocumentKind;
  readonly id: string;
  /**
   * The field of the document that is the lease: where there is no document nobody has it, and none is made. Unless given the
   * document is nothing else, and goes when it is given back.
   */
  readonly field?: string;
  /** Of one with a field: whether a document as it is now may be leased. */
  readonly only?: (value: unknown) => boolean;
  /** How long a holder that says nothing is taken to be alive. */
  readonly leaseMs: number;
  /** Of this process, or this object: two never have the same. */
  readonly holder: string;
}

/** What was seen of it: the document, and whether the lease is ours. */
export interface LeaseLook {
  readonly isOurs: boolean;
  readonly found: StoredDocument | undefined;
}

/**
 * Something that one process does at a time, by a lease in a document: another takes over when the holder has given it back
 * or its time has run out. All is written with the version that was read: who has lost it cannot renew it, nor give back what
 * is somebody else's by now. It spares double work; what must not be done twice is to be fenced by what it writes.
 */
export class DocumentLease {
  readonly #store: Documents;
  readonly #at: LeasePlace;
  #untilMs = 0;

  constructor(store: Documents, at: LeasePlace) {
    this.#store = store;
    this.#at = at;
  }

  /** Until when it is ours, Unix ms; 0: it is not. */
  get untilMs(): number {
    return this.#untilMs;
  }

  /** Whether it is ours, without asking storage: what takes long looks again before it goes on. */
  isOursAt(nowMs: number): boolean {
    return nowMs < this.#untilMs;
  }

  /** True while it is ours: it is taken where it is free, and renewed when it is half over. */
  async hold(nowMs: number): Promise<boolean> {
    return this.#untilMs - nowMs > this.#at.leaseMs / 2 || (await this.look(nowMs)).isOurs;
  }

  /** The same, for who has to read the document in any case. */
  async look(nowMs: number): Promise<LeaseLook> {
    const { kind, id, field, leaseMs, holder, only = () => true } = this.#at;
    for (let tries = 1; ; tries += 1) {
      const [found] = await this.#store.readDocuments(kind, [id]);
      const term = this.#termIn(found);
      const isOurs = term?.holder === holder;
      // One from a future that no lease reaches was written by a clock that was wrong.
      const isFree = term === undefined || term.untilMs <= nowMs || term.untilMs > nowMs + leaseMs;
      this.#untilMs = 0;
      const isThere = field === undefined || found !== undefined;
      if (!(isOurs || isFree) || !isThere || !only(found?.value)) return { isOurs: false, found };
      if (isOurs && !isFree && term.untilMs - nowMs > leaseMs / 2) {
        this.#untilMs = term.untilMs;
        return { isOurs, found };
      }
      const untilMs = nowMs + leaseMs;
      const written = await this.#write(found, { holder, untilMs }, nowMs);
      if (written !== undefined) {
        this.#untilMs = untilMs;
        return { isOurs: true, found: written };
      }
      if (tries === mostTries) return { isOurs: false, found };
    }
  }

  /** Others may have it at once. What is not ours is left alone. */
  async release(nowMs: number): Promise<void> {
    this.#untilMs = 0;
    for (let tries = 1; tries <= mostTries; tries += 1) {
      const [found] = await this.#store.readDocuments(this.#at.kind, [this.#at.id]);
      if (found === undefined || this.#termIn(found)?.holder !== this.#at.holder) return;
      if ((await this.#write(found, undefined, nowMs)) !== undefined) return;
    }
  }

  async #write(
    found: StoredDocument | undefined,
    term: LeaseTerm | undefined,
    nowMs: number,
  ): Promise<StoredDocument | undefined> {
    const { kind, id, field } = this.#at;
    const value = field === undefined ? term : { ...Object(found?.value), [field]: term };
    const write = { id, value, ifVersion: found?.version ?? 0 };
    const [receipt] = await this.#store.writeDocuments(kind, [write], nowMs);
    return receipt?.status === "written" ? { id, version: receipt.version, value } : undefined;
  }

  /** Anyone may have written there: what is no lease holds nobody up. */
  #termIn(found: StoredDocument | undefined): LeaseTerm | undefined {
    const { field } = this.#at;
    const all = Object(found?.value) as Record<string, unknown>;
    const { holder, untilMs } = Object(field === undefined ? all : all[field]) as Partial<Record<string, unknown>>;
    return typeof holder === "string" && typeof untilMs === "number" ? { holder, untilMs } : undefined;
  }
}

/** A document with other fields is written by others, too: then again. */
const mostTries = 10;
