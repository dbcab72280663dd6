import { DisciplinedClock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import { Connection } from "./connection.js";
import { LinkError, type Reply } from "./link.js";
import type { LinkOptions } from "./link-options.js";
import { hostAndPort } from "./redis-url.js";
import { replicationOf } from "./replication.js";
import { masterBehind } from "./sentinel.js";
import { infoOf } from "./server-check.js";

export type Sentinels = Extract<LinkOptions, { readonly kind: "sentinel" }>;

/** How long one server has for one answer. */
export const answerMs = 2_000;

export interface Place {
  readonly offset: number;
  readonly replicationId: string;
  /** Of the master that it followed, and one more than what it had of it. */
  readonly formerId: string;
  readonly formerOffset: number;
  readonly replicas: ReturnType<typeof replicationOf>["replicas"];
}

/** A connection to a master of our own: the link's ends when the Sentinels name another. */
export class Master {
  readonly #place: Sentinels;
  #connection: Connection | undefined;

  constructor(place: Sentinels) {
    this.#place = place;
  }

  get connection(): Connection {
    return this.#connection!;
  }

  get address(): string {
    return hostAndPort(this.connection.address);
  }

  /** Nobody can write for so long from now, nor for less than it was told before. Answers where it stands. */
  async freeze(forMs: number): Promise<Place> {
    await this.ask("CLIENT", "PAUSE", Math.max(1, Math.ceil(forMs)), "WRITE");
    return this.replication();
  }

  /** The one there is. */
  async find(): Promise<this> {
    const opened = await masterBehind(this.#place, this.#place.label)(new DisciplinedClock(), this.#place.timeoutMs);
    if (!(opened instanceof Connection)) throw opened;
    this.#connection = opened;
    return this;
  }

  /** Undefined while it is still the same one, or none. */
  async other(address: string): Promise<this | undefined> {
    const opened = await masterBehind(this.#place, this.#place.label)(new DisciplinedClock(), answerMs);
    if (!(opened instanceof Connection)) return undefined;
    this.#connection = opened;
    if (this.address !== address) return this;
    opened.end();
    return undefined;
  }

  async ask(name: string, ...args: readonly (string | number)[]): Promise<Reply> {
    const [reply] = await this.connection.send([{ name, args }], answerMs);
    if (!(reply instanceof LinkError)) return reply!;
    if (reply.code !== "NOPERM") throw reply.toError(this.#place.label);
    const problem = `${name} ${String(args[0])} is not allowed for this user: a failover needs +client|pause, +client|unpause, +replicaof, +info and +role`;
    throw new HoldfastError("BROKER_INCOMPATIBLE", { broker: this.#place.label, problem });
  }

  async replication(): Promise<Place> {
    const info = infoOf(await this.ask("INFO", "replication"), { label: this.#place.label });
    const { offset, replicas } = replicationOf(this.address, info);
    return {
      offset,
      replicas,
      replicationId: info["master_replid"] ?? "",
      formerId: info["master_replid2"] ?? "",
      formerOffset: Number(info["second_repl_offset"] ?? -1),
    };
  }
}
