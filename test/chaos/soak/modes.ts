import type { ServerOptions } from "../../support/redis-server.js";

export interface Mode {
  readonly name: "none" | "retries" | "all";
  readonly says: string;
  /** One server, or a master, its replica and three Sentinels. */
  readonly stage: "server" | "sentinels";
  readonly config: NonNullable<ServerOptions["config"]>;
  readonly spool: boolean;
  readonly producer: object;
}

/** What redis.conf has as it comes. */
const asItComes = { save: "3600 1 300 100 60 10000" };

/** The three lines of the table of likelihoods. Workers are the same in all: theirs cannot be switched off. */
export const modes: readonly Mode[] = [
  {
    name: "none",
    says: "one Redis with the settings it comes with (snapshots), each enqueue sent once and waited for 2 s",
    stage: "server",
    config: asItComes,
    spool: false,
    producer: { once: true, timeoutMs: 2_000 },
  },
  {
    name: "retries",
    says: "the same Redis, each enqueue tried again for 10 s under the same id",
    stage: "server",
    config: asItComes,
    spool: false,
    producer: { timeoutMs: 10_000 },
  },
  {
    name: "all",
    says: 'a master with a replica and three Sentinels, an append-only file, and clients with a spool, `accept: "spool"`',
    stage: "sentinels",
    config: { appendonly: "yes", appendfsync: "everysec", "repl-backlog-size": "64mb" },
    spool: true,
    producer: { timeoutMs: 10_000 },
  },
];
