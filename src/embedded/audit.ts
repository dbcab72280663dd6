import type { AuditEntry, AuditStore, ChainEnd, LogPlace, NewAct, SealedText, Sealing } from "../broker/audit.js";
import type { StoreLink } from "./store-link.js";

type Ask = <T>(call: (link: StoreLink) => Promise<T>) => Promise<T>;

export class EmbeddedAudit implements AuditStore {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  async append(acts: readonly NewAct[], nowMs: number): Promise<void> {
    await this.#ask((link) => link.call("appendActs", { acts, nowMs }));
  }

  async logs(): Promise<string[]> {
    return this.#ask((link) => link.call("actLogs", {}));
  }

  async read(
    logs: readonly { readonly log: string; readonly after?: string | undefined }[],
    limit: number,
    newest = false,
  ): Promise<AuditEntry[][]> {
    return this.#ask((link) => link.call("readActs", { logs, limit, newest }));
  }

  async sealing(): Promise<Sealing> {
    return this.#ask((link) => link.call("sealing", {}));
  }

  async seal(
    records: readonly SealedText[],
    after: ChainEnd | undefined,
    places: readonly LogPlace[],
  ): Promise<boolean> {
    return this.#ask((link) => link.call("seal", { records, after, places }));
  }

  async sealed(from: number, limit: number): Promise<SealedText[]> {
    return this.#ask((link) => link.call("sealed", { from, limit }));
  }

  async trimSealed(before: number): Promise<void> {
    await this.#ask((link) => link.call("trimSealed", { before }));
  }
}
