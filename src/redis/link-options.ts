import { invalidOption, shown } from "../core/errors.js";
import { type Resolved, type Setting, setting } from "../core/settings.js";
import { Asked } from "./asked.js";
import { parseRedisUrl, type RedisAddress, timeoutSetting, type TlsOptions } from "./redis-url.js";

export type LinkSettings = Resolved<typeof linkSettings>;

/** What a link is opened with. */
export type LinkOptions = {
  /** All this was made of them. */
  readonly settings: LinkSettings;
  /** Where it leads, without a password. */
  readonly label: string;
  /** Of one call, all included. */
  readonly timeoutMs: number;
} & (
  | { readonly kind: "server"; readonly address: RedisAddress }
  /** Some of its nodes: they know the others. */
  | { readonly kind: "cluster"; readonly seeds: readonly RedisAddress[] }
  | SentinelPlace
);

export interface SentinelPlace {
  readonly kind: "sentinel";
  readonly sentinels: readonly RedisAddress[];
  /** The name by which they know the master. */
  readonly master: string;
  /** Who we are at the master, and its replicas. */
  readonly data: Pick<RedisAddress, "username" | "password" | "db" | "tls">;
}

const certificates = "an object of ca, cert, key, servername (text) and rejectUnauthorized (true or false)";

/** The options of a link, for the engine's own table. */
export const linkSettings = {
  url: setting.text({
    default: "redis://localhost:6379",
    allowed:
      "redis://[[user]:password@]host[:port][/db], rediss://… (TLS), redis-socket:///path[?db=n], " +
      "redis-cluster://host:port,host:port, redis-sentinel://host:port,host:port[/db]?master=name",
    says: "where Redis is; it may set the timeout too: ?timeout=5s",
    parse(value, option) {
      parseRedisUrl(value, option);
      return value as string;
    },
  }),
  timeout: timeoutSetting,
  username: setting.text({
    default: undefined,
    allowed: "text",
    says: "the user (ACL) at Redis, instead of in the URL; with redis-sentinel://, whose URL holds the Sentinels' own, at the master",
    parse: secret,
  }),
  password: passwordSetting("the password at Redis, likewise; a function is asked again for each new connection"),
  sentinelPassword: passwordSetting(
    "the Sentinels' password, instead of in a redis-sentinel:// URL; their user stays there",
  ),
  tls: {
    kind: "record",
    default: {},
    allowed: `${certificates}, or a function that answers one, also as a promise`,
    says:
      "certificates for URLs that begin with rediss; without them the system's authorities are trusted; " +
      "a function is asked again for each new connection",
    parse: askedOr(tlsOptions),
  } satisfies Setting<TlsOptions | (() => TlsOptions | Promise<TlsOptions>), TlsOptions | Asked<TlsOptions>>,
};

type Secret = string | (() => string | Promise<string>);

function passwordSetting(says: string): Setting<Secret, string | Asked<string> | undefined> {
  return {
    kind: "text",
    default: undefined,
    allowed: "text, or a function that answers it, also as a promise",
    says,
    parse: askedOr(secret),
  };
}

/** A function's answers are checked when they come. */
function askedOr<T>(parse: (value: unknown, option: string) => T): (value: unknown, option: string) => T | Asked<T> {
  return (value, option) =>
    typeof value === "function" ? new Asked(`${option}()`, value as () => T, parse) : parse(value, option);
}

/** @throws OPTION_INVALID where certificates are given for a URL that does not use TLS, or a user or password twice */
export function linkOptions(given: LinkSettings, owner: string): LinkOptions {
  const url = parseRedisUrl(given.url, `${owner}.url`);
  const { label, timeoutMs = given.timeoutMs } = url;
  const servers = url.kind === "server" ? [url.address] : url.kind === "cluster" ? url.nodes : url.sentinels;
  const secured = servers.map((server) => (server.tls === undefined ? server : { ...server, tls: given.tls }));
  const { tls } = secured[0]!;
  if (tls === undefined && (given.tls instanceof Asked || Object.keys(given.tls).length > 0)) {
    throw invalidOption(`${owner}.tls`, "is for URLs that begin with rediss only");
  }
  const { username, password, sentinelPassword } = given;
  if (username !== undefined && password === undefined) {
    throw invalidOption(`${owner}.username`, 'needs a password, too: "" where the server asks for none');
  }
  const common = { settings: given, label, timeoutMs };
  if (url.kind === "sentinel") {
    const data = { username, password, db: url.db, tls };
    const sentinels = withPassword(secured, sentinelPassword, `${owner}.sentinelPassword`);
    return { ...common, kind: "sentinel", sentinels, master: url.master, data };
  }
  if (sentinelPassword !== undefined) {
    throw invalidOption(`${owner}.sentinelPassword`, "is for URLs that begin with redis-sentinel or rediss-sentinel");
  }
  const open = withPassword(secured, password, `${owner}.password`);
  if (username !== undefined && open[0]!.username !== undefined) {
    throw invalidOption(`${owner}.username`, "is in the URL, too: give it in one place");
  }
  const known = username === undefined ? open : open.map((server) => ({ ...server, username }));
  return url.kind === "server"
    ? { ...common, kind: "server", address: known[0]! }
    : { ...common, kind: "cluster", seeds: known };
}

/** A user in the URL may have the password that is given apart from it. */
function withPassword(
  servers: readonly RedisAddress[],
  password: RedisAddress["password"],
  option: string,
): readonly RedisAddress[] {
  if (password === undefined) return servers;
  if ((servers[0]!.password ?? "") !== "") throw invalidOption(option, "is in the URL, too: give it in one place");
  return servers.map((server) => ({ ...server, password }));
}

function secret(value: unknown, option: string): string {
  if (typeof value !== "string") throw invalidOption(option, `must be text, got a value of type ${typeof value}`);
  return value;
}

function tlsOptions(value: unknown, option: string): TlsOptions {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidOption(option, `must be ${certificates}, got ${shown(value)}`);
  }
  for (const [name, part] of Object.entries(value)) {
    if (!["ca", "cert", "key", "servername", "rejectUnauthorized"].includes(name)) {
      throw invalidOption(`${option}.${name.slice(0, 64)}`, `is not an option; there are ${certificates}`);
    }
    const kind = name === "rejectUnauthorized" ? "boolean" : "string";
    if (typeof part !== kind)
      throw invalidOption(`${option}.${name}`, `must be a ${kind}, got a value of type ${typeof part}`);
  }
  return value;
}
