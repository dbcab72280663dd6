import type { Lists } from "./lists.js";

/** All that reads; whatever is neither here nor below fails the test, so that no write goes unseen. */
const reads = new Set(
  `AUTH CLIENT CLUSTER COMMAND CONFIG ECHO EVAL EVALSHA EXISTS GET HELLO HGET HGETALL HMGET HRANDFIELD HVALS INFO KEYS LINDEX
  LLEN LPOS LRANGE MEMORY MGET MONITOR PING PTTL ROLE SCRIPT SELECT SISMEMBER SMEMBERS SMISMEMBER SRANDMEMBER SUBSCRIBE TIME
  TTL TYPE UNSUBSCRIBE XREVRANGE ZCARD ZCOUNT ZMSCORE ZRANDMEMBER ZRANGE ZRANGEBYSCORE ZREVRANGE ZSCORE SCAN`.split(
    /\s+/,
  ),
);

/** What is known beside a command: when the server had it, Unix seconds, and the lists before it. */
export interface Context {
  readonly nowS: number;
  readonly lists: Lists;
}

type Tell = (args: readonly string[], context: Context) => readonly string[];

/** What a command writes, a line for each entry: work that is the same is told alike, in however many commands it is done. */
export function mutationsOf([command, ...args]: readonly string[], context: Context): readonly string[] {
  const name = command!.toUpperCase();
  if (reads.has(name)) return [];
  const tell = writes[name];
  if (tell === undefined) throw new Error(`is ${name} a read or a write? Add it to this file`);
  return tell(args, context);
}

const push =
  (end: "head" | "tail"): Tell =>
  ([key, ...ids], { lists }) => {
    lists.push(key!, end, ids);
    return ids.map((id) => `push ${of(key!, id)}to the ${end} of ${key}`);
  };
const taken = (key: string, ids: readonly string[]) => ids.map((id) => `remove ${of(key, id)}from ${key}`);
const named: Tell = ([key, ...members]) => taken(key!, members);
const deleted: Tell = (keys, { lists }) =>
  keys.map((key) => {
    lists.delete(key);
    return `delete ${key}`;
  });
const fields: Tell = ([key, ...pairs], { nowS }) =>
  pairsIn(pairs).map(([name, value]) => `set ${key} ${name}${shown(name, value, nowS)}`);
const expiring = (seconds: string | number) => `after ${span(Number(seconds))}`;

const writes: Record<string, Tell> = {
  HSET: fields,
  HSETNX: fields,
  HINCRBY: ([key, field]) => [`set ${key} ${field}`],
  HDEL: ([key, ...names]) => (isOwn(key!) ? [`remove from ${key}`] : names.map((name) => `unset ${key} ${name}`)),
  LPUSH: push("head"),
  RPUSH: push("tail"),
  RPOPLPUSH: ([from, to], context) => {
    const moved = context.lists.pop(from!);
    return [...taken(from!, moved), ...(moved.length === 0 ? [] : push("head")([to!, ...moved], context))];
  },
  LSET: ([key, index, id], { lists }) => [`overwrite ${of(key!, lists.overwrite(key!, Number(index), id!))}in ${key}`],
  LREM: ([key, count, id], { lists }) => taken(key!, lists.remove(key!, Number(count), id!)),
  LTRIM: ([key, first, last], { lists }) => taken(key!, lists.trim(key!, Number(first), Number(last))),
  RPOP: ([key, count = "1"], { lists }) => taken(key!, lists.pop(key!, Number(count))),
  ZADD: ([key, ...rest], { nowS }) => {
    const options = rest.filter((word) => /^(XX|NX|GT|LT|CH)$/i.test(word)).map((word) => word.toUpperCase());
    const [verb, where] = options.includes("XX") ? ["renew", "in"] : ["add", "to"];
    return pairsIn(rest.slice(options.length)).map(([score, id]) => {
      const when = isOwn(key!) ? "" : `, for ${moment(score, nowS)}`;
      return `${verb} ${of(key!, id)}${where} ${key}${when}`;
    });
  },
  ZREM: named,
  ZREMRANGEBYSCORE: ([key]) => [`remove by time from ${key}`],
  ZREMRANGEBYRANK: ([key]) => [`remove by rank from ${key}`],
  SADD: ([key, ...members]) => members.map((member) => `add ${of(key!, member)}to ${key}`),
  SREM: named,
  SET: ([key, value, ...options], { nowS }) => {
    const at = options.findIndex((word) => word.toUpperCase() === "EX");
    const expires = at === -1 ? "" : `, expiring ${expiring(options[at + 1]!)}`;
    return [`set ${key}${content(key!, value!, nowS)}${expires}`];
  },
  SETNX: ([key, value], { nowS }) => [`set ${key}${content(key!, value!, nowS)}`],
  SETEX: ([key, seconds, value], { nowS }) => [
    `set ${key}${content(key!, value!, nowS)}, expiring ${expiring(seconds!)}`,
  ],
  INCR: ([key]) => [`count ${key}`],
  INCRBY: ([key, by]) => Array.from({ length: Number(by) }, () => `count ${key}`),
  EXPIRE: ([key, seconds]) => [`expire ${key}${isOwn(key!) ? "" : ` ${expiring(seconds!)}`}`],
  PEXPIRE: ([key, ms]) => [`expire ${key}${isOwn(key!) ? "" : ` ${expiring(Number(ms) / 1_000)}`}`],
  EXPIREAT: ([key, at], { nowS }) => [`expire ${key} ${expiring(Number(at) - nowS)}`],
  DEL: deleted,
  UNLINK: deleted,
  XADD: ([key]) => [`append to ${key}`],
  XTRIM: ([key]) => [`trim ${key}`],
  PUBLISH: ([channel, message]) => [`publish ${message} on ${channel}`],
};

const isOwn = (key: string) => key.startsWith("holdfast:");
/** What our own keys hold is our own affair. */
const of = (key: string, member: string) => (isOwn(key) ? "" : `${member} `);

/** Values that say where a task is and since when, whose a lock is, and since when a queue is paused. */
const shown = (field: string, value: string, nowS: number) => {
  if (field === "pending_since") return ` to ${moment(Number(value) / 1e9, nowS)}`;
  return field === "state" ? ` = ${value}` : "";
};
const content = (key: string, value: string, nowS: number) => {
  if (key.endsWith(":paused")) return ` to ${moment(value, nowS)}`;
  return key.includes(":unique:") ? ` = ${value}` : "";
};

/** A time by how far off it is. */
const moment = (timeS: string | number, nowS: number) => {
  const ahead = span(Number(timeS) - nowS);
  return ahead === "0 s" ? "now" : `${ahead} on`;
};

/**
 * A span of time to five seconds, a longer one to the hour: a clock was read a moment before the command, and where seconds are
 * whole, that may be the second before.
 */
function span(seconds: number): string {
  const [unit, size] = Math.abs(seconds) < 80_000 ? ["s", 5] : ["h", 3_600];
  const rounded = Math.round(seconds / size);
  return unit === "s" ? `${rounded * 5} s` : `${rounded} h`;
}

const pairsIn = (list: readonly string[]) =>
  list.flatMap((one, n) => (n % 2 === 0 ? [[one, list[n + 1]!] as const] : []));
