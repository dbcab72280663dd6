import { invalidOption, shown } from "../core/errors.js";
import { storedName } from "../core/names.js";

/**
 * The least that each role needs of Redis (7.0 or newer: keys that are only read are `%R~`). Patterns say `{*}` for each
 * queue; scripts declare the two prefixes of a queue as their keys, and each command in them is checked by itself.
 */
interface Role {
  /** For people: what it is for. */
  readonly says: string;
  readonly commands: readonly string[];
  readonly keys: readonly string[];
  readonly channels?: readonly string[];
  /** What holds for some keys of their own. */
  readonly selectors?: readonly Pick<Role, "commands" | "keys">[];
}

const words = (text: string) => text.split(" ");

/** Connecting, and what every script begins with. */
const always = ["ping", "time", "eval", "evalsha", "exists", "type", "client|setname"];
const prefixes = ["~asynq:{*}:", "~holdfast:{*}:"];
const shared = ["~holdfast:schema", "~holdfast:data*", "~holdfast:outages"];

const reads = [
  ...words("info get mget hget hmget hgetall hvals hkeys hlen hexists hscan hrandfield"),
  ...words("lrange llen lindex lpos smembers sismember smismember scard srandmember zcard"),
  ...words("zcount zrange zrangebyscore zrank zscore zmscore zrandmember zscan xrange xrevrange ttl"),
  ...words("pttl memory|usage acl|whoami"),
];
const readKeys = [
  "%R~asynq:{*}:*",
  "%R~holdfast:{*}:*",
  "%R~asynq:queues",
  "%R~asynq:servers*",
  "%R~asynq:workers*",
  "%R~holdfast:servers",
  "%R~holdfast:dlq:*",
  "%R~holdfast:audit*",
];

const writes = [
  ...words("set del unlink rename expire expireat pexpire pexpireat incr incrby hset hsetnx"),
  ...words("hdel hincrby lpush rpush rpop lrem lset ltrim sadd srem zadd zrem zincrby"),
  ...words("zremrangebyrank zremrangebyscore xadd publish"),
];
const steeredKeys = ["~asynq:{*}:*", "~holdfast:{*}:*", "~asynq:queues", "~holdfast:dlq:*"];
/** To append to the log for all. Trimming comes with it, which numbers show. */
const appendActs = { commands: ["eval", "evalsha", "xadd", "xtrim"], keys: ["~holdfast:audit"] };
/** A script's keys must be writable to who calls it, though nothing in it writes: its commands have only the other rights. */
const readingScripts = { commands: ["eval", "evalsha"], keys: ["~asynq:{*}:*", "~holdfast:{*}:*", "~holdfast:data*"] };
const sealedKeys = ["~holdfast:audit:sealed", "~holdfast:audit:places"];

const roles = {
  producer: {
    says: "puts tasks into queues",
    commands: [...always, ...words("get set hget hmget hset hsetnx hlen hkeys hdel lpush llen sadd sismember"), "zadd"],
    keys: [
      ...prefixes,
      ...["t:*", "pending", "scheduled", "unique:*"].map((name) => `~asynq:{*}:${name}`),
      ...["done:*", "spooled:*", "barrier", "tick:*"].map((name) => `~holdfast:{*}:${name}`),
      "%R~holdfast:{*}:standstill",
      "~asynq:queues",
      ...shared,
    ],
  },
  worker: {
    says: "runs tasks, and maintains the queues it works on",
    commands: [
      ...always,
      ...words("@connection @string @hash @list @set @sortedset unlink del expire expireat"),
      ...words("pexpire ttl pttl subscribe info"),
    ],
    channels: ["asynq:cancel", "__redis__:invalidate"],
    keys: [
      ...words("~asynq:{*}:* ~holdfast:{*}:* ~asynq:queues ~asynq:servers* ~asynq:workers* ~holdfast:servers"),
      ...shared,
    ],
  },
  viewer: {
    says: "looks at everything, payloads included, and changes nothing",
    commands: [...always, ...reads],
    keys: [...readKeys, ...shared.map(asRead)],
    selectors: [readingScripts],
  },
  operator: {
    says: "steers queues and tasks, and operates dead letters",
    commands: [...always, ...reads, ...writes, "scan"],
    channels: ["asynq:cancel"],
    keys: [...readKeys.filter((key) => !/\{\*\}|queues|dlq/.test(key)), ...steeredKeys, ...shared],
    selectors: [appendActs],
  },
  sealer: {
    says: "reads what was done by hand, and seals it",
    commands: [...always, ...words("get smembers hgetall hset zrange zcard zadd zremrangebyscore xrange info")],
    keys: [...prefixes, "%R~holdfast:{*}:audit", "%R~holdfast:audit", "%R~asynq:queues", ...sealedKeys, ...shared],
  },
  monitor: {
    says: "runs holdfast monitor: watches, and does all its duties, sealing too",
    commands: [...always, ...reads, ...writes],
    channels: ["asynq:cancel"],
    keys: [...readKeys.filter((key) => !/\{\*\}|queues|dlq/.test(key)), ...steeredKeys, ...sealedKeys, ...shared],
    selectors: [appendActs],
  },
} as const satisfies Record<string, Role>;

export type AclRole = keyof typeof roles;
export const aclRoles = Object.keys(roles) as AclRole[];

/** What some servers, options and commands need beside that. */
const extras = {
  cluster: ["cluster|slots", "cluster|nodes", "asking"],
  sentinel: ["role"],
  spool: ["info", "dbsize", "config|get"],
  replicas: ["wait", "waitaof", "role", "config|get"],
  maintenance: ["client|pause", "client|unpause", "replicaof", "role", "config|rewrite", "info"],
} as const satisfies Record<string, readonly string[]>;

export type AclExtra = keyof typeof extras;
export const aclExtras = Object.keys(extras) as AclExtra[];

export interface AclOptions {
  /** The user's name; default "holdfast-" and the role. */
  readonly user?: string;
  /** SHA-256 of the password, 64 hex digits; without one the user is off until it has one. */
  readonly passwordHash?: string;
  /** Only these queues; default: all. Documents about dead letters and the log for all queues stay shared. */
  readonly queues?: readonly string[];
  readonly extras?: readonly AclExtra[];
}

export const saysOf = (role: AclRole): string => roles[role].says;

/** One line for an ACL file, or, without its first word, for ACL SETUSER. @throws OPTION_INVALID */
export function aclRule(role: AclRole, { user, passwordHash, queues, extras: more = [] }: AclOptions = {}): string {
  const { commands, keys, channels = [], selectors = [] }: Role = roles[role];
  const name = user ?? `holdfast-${role}`;
  if (!/^[^\s\0]{1,128}$/.test(name)) throw invalidOption("user", `must be a name without spaces, got ${shown(name)}`);
  if (passwordHash !== undefined && !/^[0-9a-f]{64}$/.test(passwordHash))
    throw invalidOption("passwordHash", "must be the SHA-256 of the password, 64 hex digits in lower case");
  const names = queues?.map((queue, n) => storedName(queue, `queues[${n}]`));
  if (names?.length === 0) throw invalidOption("queues", "must name at least one queue");
  const patterns = (all: readonly string[]) => [
    ...new Set(all.flatMap((key) => (key.includes("{*}") && names ? names.map((q) => forQueue(key, q)) : [key]))),
  ];
  const rights = [...commands, ...more.flatMap((extra): readonly string[] => extras[extra])];
  return [
    "user",
    name,
    ...(passwordHash === undefined ? ["off", "resetpass"] : ["on", `#${passwordHash}`]),
    "resetkeys",
    "resetchannels",
    ...channels.map((channel) => `&${channel}`),
    "-@all",
    ...allowed(rights),
    ...patterns(keys),
    ...selectors.map((one) => `(${[...allowed(one.commands), ...patterns(one.keys)].join(" ")})`),
  ].join(" ");
}

const allowed = (commands: readonly string[]) => [...new Set(commands)].map((command) => `+${command}`);

/** What is a pattern elsewhere is a name here. @throws OPTION_INVALID */
function forQueue(key: string, queue: string): string {
  if (/\s/.test(queue)) throw invalidOption("queues", `cannot be told in a rule: ${shown(queue)} has a space`);
  return key.replace("*", () => queue.replaceAll(/[*?[\]\\^-]/g, String.raw`\$&`));
}

function asRead(key: string): string {
  return key.startsWith("~") ? `%R${key}` : key;
}
