import type { Incarnation } from "../broker/incarnation.js";
import { HoldfastError } from "../core/errors.js";
import { type DataMarks, type Mark, markFrom } from "./data-marks.js";
import { dataKey } from "./keys.js";
import { type Command, LinkError, type RedisLink, type Reply, type RunOptions } from "./link.js";
import type { Replicas } from "./replicas.js";
import type { Saves } from "./saves.js";
import { infoCalls, infoIn } from "./server-check.js";

/** What one server says of itself and of the data it has. */
export interface ServerLook {
  readonly runId: string;
  readonly replicationId: string;
  /** A master that has loaded its data. */
  readonly serves: boolean;
  readonly replicas: number;
  /** What was written before this time (`performance.now()`) all replicas that follow have; undefined: none has followed. */
  readonly replicatedUntilMs: number | undefined;
  /** Whether anything tells of a replica of it, also of one that does not follow at present. */
  readonly mayBeReplaced: boolean;
  /** After how much silence the two take each other for cut off, ms; undefined where that is not told. */
  readonly replTimeoutMs: number | undefined;
  readonly persistence: Incarnation["persistence"];
  readonly savedUntilMs: number | undefined;
  /** How much a power cut may take: what is written and not on the disk, ms. */
  readonly unsyncedMs: number;
  /** In all its databases. */
  readonly keys: number;
  /** The mark that is among the data; undefined where we may not look. */
  readonly mark: Mark | undefined;
}

/** What earlier looks have found. */
export interface Before {
  readonly saves: Saves;
  readonly replicas: Replicas;
}

/** When a look began: by the storage's clock, Unix ms, and by one that never jumps, `performance.now()`. */
export interface Asked {
  readonly storageMs: number;
  readonly atMs: number;
}

export const askedNow = ({ clock }: Pick<RedisLink, "clock">): Asked => {
  return { storageMs: clock.nowMs(), atMs: performance.now() };
};

/** What makes a queue's incarnation, by name, and the server that it is on. */
export interface Found {
  readonly traits: Readonly<Record<string, string>>;
  readonly server: ServerLook;
}

const sections = ["server", "replication", "persistence", "keyspace"];

/** For one server, in one trip. `settings`: also how it saves, which takes another right and matters to a spool alone. */
export const lookCalls = (settings: boolean): readonly Command[] => [
  ...infoCalls(sections),
  ...(settings ? ["save", "appendfsync", "repl-timeout"] : []).map((name) => ({ name: "CONFIG", args: ["GET", name] })),
];

/**
 * The one server that a link leads to. Among its data there is a mark, made by whoever finds none: it goes with them.
 * @throws BROKER_UNAVAILABLE; BROKER_INCOMPATIBLE where it does not tell who it is
 */
export async function lookAtServer(
  link: Pick<RedisLink, "label" | "run" | "clock">,
  marks: DataMarks,
  before: Before,
  settings: boolean,
  options: RunOptions,
): Promise<ServerLook> {
  const asked = askedNow(link);
  const mark = marks.call(dataKey, asked.storageMs);
  const [marked, ...replies] = await link.run([mark, ...lookCalls(settings)], options);
  const look = serverLook(link, before, replies, asked);
  return look.serves ? { ...look, mark: markFrom(dataKey, marked, link.label) } : look;
}

/** Reads the replies to `lookCalls`, which were sent then. @throws as `lookAtServer` */
export function serverLook(
  link: Pick<RedisLink, "label">,
  before: Before,
  replies: readonly Reply[],
  asked: Asked,
): ServerLook {
  const info = infoIn(replies.slice(0, sections.length), link);
  const { run_id: runId = "", master_replid: replicationId = "" } = info;
  // Some who rent out servers leave them out, or write zeros.
  if (/^0*$/.test(runId) || /^0*$/.test(replicationId)) {
    const forbidden = replies[0] instanceof LinkError;
    const problem = forbidden
      ? "INFO is not allowed for this user, and only that tells whether the server is still the one that took a task: allow +info, or do without the spool"
      : "its INFO hides run_id or master_replid, and only those tell whether the server is still the one that took a task: do without the spool there";
    throw new HoldfastError("BROKER_INCOMPATIBLE", { broker: link.label, problem });
  }
  const replicatedUntilMs = before.replicas.look(runId, info, asked.atMs);
  const [save, fsync, replTimeoutS] = replies.slice(sections.length).map(valueOf);
  const persistence = info["aof_enabled"] === "1" ? "aof" : save === "" ? "none" : "snapshot";
  return {
    runId,
    replicationId,
    serves: info["role"] === "master" && info["loading"] !== "1" && info["async_loading"] !== "1",
    replicas: Number(info["connected_slaves"] ?? 0),
    persistence,
    replicatedUntilMs,
    mayBeReplaced: replicatedUntilMs !== undefined,
    replTimeoutMs: Number(replTimeoutS) > 0 ? Number(replTimeoutS) * 1_000 : undefined,
    savedUntilMs: before.saves.look(runId, info, asked.storageMs),
    unsyncedMs: persistence === "aof" ? unsyncedMs(fsync) : 0,
    keys: sumOf(Object.values(info).map((value) => Number(/^keys=(\d+),/.exec(value)?.[1] ?? 0))),
    mark: undefined,
  };
}

const sumOf = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0);

/** CONFIG GET's answer; undefined where it is not allowed. */
export const valueOf = (reply: Reply | undefined) =>
  Array.isArray(reply) && reply.length === 2 ? String(reply[1]) : undefined;

/** `everysec` may be late by one second, the kernel writes by itself within 30. */
function unsyncedMs(fsync: string | undefined): number {
  return fsync === "always" ? 0 : fsync === "no" ? 30_000 : 2_000;
}
