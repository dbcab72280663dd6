import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import type { RedisServer } from "../../support/redis-server.js";
import { until } from "../../support/until.js";

/** What was written to a server, one mutation a line, each told once, sorted. */
export type Trace = readonly string[];

/** All that reads; whatever is neither here nor below fails the test, so that no write goes unseen. */
const reads = new Set(
  `AUTH CLIENT CLUSTER COMMAND CONFIG ECHO EVAL EVALSHA EXISTS GET HELLO HGET HGETALL HMGET HRANDFIELD INFO KEYS LINDEX LLEN
  LPOS LRANGE MEMORY MGET MONITOR PING PTTL ROLE SCRIPT SELECT SISMEMBER SMEMBERS SMISMEMBER SRANDMEMBER SUBSCRIBE TIME TTL
  TYPE UNSUBSCRIBE XREVRANGE ZCARD ZCOUNT ZMSCORE ZRANDMEMBER ZRANGE ZRANGEBYSCORE ZREVRANGE ZSCORE SCAN`.split(/\s+/),
);

const everyOther = (list: readonly string[]) => list.filter((_, n) => n % 2 === 0);

/** A write as what it does to which key: commands that do the same are told alike. */
const writes: Record<string, (args: readonly string[]) => readonly string[]> = {
  HSET: ([key, ...pairs]) => everyOther(pairs).map((field) => `set ${key} ${field}`),
  HSETNX: ([key, field]) => [`set ${key} ${field}`],
  HINCRBY: ([key, field]) => [`set ${key} ${field}`],
  HDEL: ([key, ...fields]) => (ownKey(key!) ? [`remove from ${key}`] : fields.map((field) => `unset ${key} ${field}`)),
  LPUSH: ([key]) => [`push to the head of ${key}`],
  RPUSH: ([key]) => [`push to the tail of ${key}`],
  RPOPLPUSH: ([from, to]) => [`remove from ${from}`, `push to the head of ${to}`],
  LSET: ([key]) => [`overwrite in ${key}`],
  LREM: ([key]) => [`remove from ${key}`],
  LTRIM: ([key]) => [`remove from ${key}`],
  RPOP: ([key]) => [`remove from ${key}`],
  ZADD: ([key, option]) => [`${option === "XX" ? "renew in" : "add to"} ${key}`],
  ZREM: ([key]) => [`remove from ${key}`],
  ZREMRANGEBYSCORE: ([key]) => [`remove from ${key}`],
  ZREMRANGEBYRANK: ([key]) => [`remove from ${key}`],
  SADD: ([key]) => [`add to ${key}`],
  SREM: ([key]) => [`remove from ${key}`],
  SET: ([key, , ...options]) => [`set ${key}${options.includes("EX") ? ", expiring" : ""}`],
  SETNX: ([key]) => [`set ${key}`],
  SETEX: ([key]) => [`set ${key}, expiring`],
  INCR: ([key]) => [`count ${key}`],
  INCRBY: ([key]) => [`count ${key}`],
  EXPIRE: ([key]) => [`expire ${key}`],
  PEXPIRE: ([key]) => [`expire ${key}`],
  EXPIREAT: ([key]) => [`expire ${key}`],
  DEL: (keys) => keys.map((key) => `delete ${key}`),
  UNLINK: (keys) => keys.map((key) => `delete ${key}`),
  XADD: ([key]) => [`append to ${key}`],
  XTRIM: ([key]) => [`trim ${key}`],
  PUBLISH: ([channel]) => [`publish on ${channel}`],
};

const ownKey = (key: string) => key.startsWith("holdfast:");

/** Records what is written to a server while something is done, with MONITOR. */
export class Recorder {
  readonly #redis: Redis;
  readonly #seen: string[][] = [];
  #marks = "";

  static async on(server: RedisServer): Promise<Recorder> {
    const client = new Redis(server.url, { protocol: 2 });
    const monitor = await client.monitor();
    return new Recorder(server.admin, client, monitor);
  }

  readonly #client: Redis;
  readonly #monitor: Redis;

  private constructor(admin: Redis, client: Redis, monitor: Redis) {
    this.#redis = admin;
    this.#client = client;
    this.#monitor = monitor;
    monitor.on("monitor", (_time: string, args: string[]) => {
      if (args[0]!.toUpperCase() === "ECHO") this.#marks = args[1]!;
      else this.#seen.push(args);
    });
  }

  async record(act: () => Promise<void>): Promise<Trace> {
    await this.#mark();
    this.#seen.length = 0;
    await act();
    await this.#mark();
    return traceOf(this.#seen);
  }

  close(): void {
    this.#monitor.disconnect();
    this.#client.disconnect();
  }

  /** All that came before has been seen. */
  async #mark(): Promise<void> {
    const mark = randomUUID();
    await this.#redis.echo(mark);
    await until("the recorder has caught up", () => this.#marks === mark);
  }
}

function traceOf(commands: readonly (readonly string[])[]): Trace {
  const told = new Set<string>();
  for (const [command, ...args] of commands) {
    const name = command!.toUpperCase();
    if (reads.has(name)) continue;
    if (writes[name] === undefined) throw new Error(`is ${name} a read or a write? Add it to this file`);
    for (const line of writes[name](args)) if (!round.test(line)) told.add(withoutDays(line));
  }
  return [...told].toSorted();
}

/** What is done now and then, whatever the tasks are: saying that one lives, looking for sets that are over, marking the data. */
const round = /asynq:(servers|workers|schedulers)\b|aggregation_sets|holdfast:data\b/;
const withoutDays = (line: string) =>
  line.replaceAll(/\b\d{4}-\d\d-\d\d\b/g, "<day>").replaceAll(/(done|req):\S+/g, "$1:…");
