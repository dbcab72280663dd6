import type { AuditEntry, AuditStore, NewAct } from "../broker/audit.js";
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
}
