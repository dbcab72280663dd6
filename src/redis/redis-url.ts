import type { Duration } from "../core/duration.js";
import { hasControl, invalidOption, shown } from "../core/errors.js";
import { setting } from "../core/settings.js";
import type { Asked } from "./asked.js";

/** Where a Redis server is and who we are there. */
export interface RedisAddress {
  /** "redis://host:6379/2": no user and no password. */
  readonly label: string;
  readonly host: string;
  readonly port: number;
  /** A Unix socket's; then host and port mean nothing. */
  readonly path: string | undefined;
  readonly username: string | undefined;
  readonly password: string | Asked<string> | undefined;
  readonly db: number;
  /** Undefined: without TLS. */
  readonly tls: TlsOptions | Asked<TlsOptions> | undefined;
}

/** With what was to be asked for. */
export interface KnownAddress extends RedisAddress {
  readonly password: string | undefined;
  readonly tls: TlsOptions | undefined;
}

/** As Node's tls.connect takes them; certificates and keys in PEM. */
export interface TlsOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** The name the server's certificate must bear. Default: the URL's host. */
  readonly servername?: string;
  /** Default true; false takes any certificate. */
  readonly rejectUnauthorized?: boolean;
}

/** What a URL says: one server, some nodes of a Cluster, or Sentinels and the name of the master that they watch. */
export type RedisUrl = { readonly label: string; readonly timeoutMs: number | undefined } & (
  | { readonly kind: "server"; readonly address: RedisAddress }
  | { readonly kind: "cluster"; readonly nodes: readonly RedisAddress[] }
  | {
      readonly kind: "sentinel";
      readonly sentinels: readonly RedisAddress[];
      readonly master: string;
      readonly db: number;
    }
);

export const timeoutSetting = setting.duration({
  default: "2s",
  min: "50ms",
  max: "1h",
  says: "longest one call may take, connecting included; the URL's timeout goes before it",
});

/**
 * Reads asynq's forms of a Redis URL, and a Cluster's.
 * @throws OPTION_INVALID for anything else; the message holds nothing of the URL, for a password with a `/` or `?` in it
 * may be anywhere
 */
export function parseRedisUrl(value: unknown, option = "url"): RedisUrl {
  if (typeof value !== "string") throw invalidOption(option, `must be a URL, got ${shown(value)}`);
  const scheme = /^[a-z-]+:/i.exec(value)?.[0].toLowerCase() ?? "";
  const several = /^rediss?-(cluster|sentinel):$/.exec(scheme)?.[1];
  if (several !== undefined) return severalServers(value, scheme, several as "cluster" | "sentinel", option);
  if (/^rediss?:\/\/[^/?#]*,/.test(value)) {
    throw invalidOption(option, "must name one server; several are for redis-cluster:// and redis-sentinel://");
  }
  if (!["redis:", "rediss:", "redis-socket:"].includes(scheme)) throw invalidOption(option, allowed);
  // URLs with a user must have a host, which a socket does not.
  const url = readable(value.replace(/^(redis-socket:\/\/[^/@]*@)\//i, "$1socket/"), option);
  const { db, timeoutMs } = query(url, scheme === "redis-socket:" ? ["db", "timeout"] : ["timeout"], option);
  const address = {
    ...(scheme === "redis-socket:"
      ? socketAddress(url, db, option)
      : networkAddress(url, scheme, databaseIn(url, option), option)),
    ...credentialsIn(url, option),
  };
  return { kind: "server", label: address.label, timeoutMs, address };
}

/** `scheme://[user:password@]host:port,host:port/db?…`: URLs know one host alone, so each host is read by itself. */
function severalServers(value: string, scheme: string, kind: "cluster" | "sentinel", option: string): RedisUrl {
  const [, user = "", hosts = "", rest = ""] = /^[^:]+:\/\/([^/?#]*@)?([^/?#@]*)(.*)$/s.exec(value) ?? [];
  const url = readable(`redis://${user}host${rest}`, option);
  const credentials = credentialsIn(url, option);
  const { timeoutMs, master } = query(url, kind === "cluster" ? ["timeout"] : ["master", "timeout"], option);
  const db = databaseIn(url, option);
  const server = scheme.startsWith("rediss") ? "rediss:" : "redis:";
  const addresses = hosts.split(",").map((host) => {
    const port = kind === "sentinel" && !/:\d+$/.test(host) ? ":26379" : "";
    return { ...networkAddress(readable(`redis://${host}${port}`, option), server, 0, option), ...credentials };
  });
  const label = `${scheme}//${addresses.map((address) => hostAndPort(address)).join(",")}`;
  if (kind === "sentinel") {
    if (master === null || master === "") {
      throw invalidOption(option, "must name the master that the Sentinels watch: ?master=name");
    }
    if (hasControl(master)) throw invalidOption(option, "must not hold control characters");
    return {
      kind,
      label: `${label}${db === 0 ? "" : `/${db}`}?master=${master}`,
      timeoutMs,
      sentinels: addresses,
      master,
      db,
    };
  }
  if (db !== 0) throw invalidOption(option, "must not name a database: a Cluster has but one");
  return { kind, label, timeoutMs, nodes: addresses };
}

function readable(value: string, option: string): URL {
  if (!URL.canParse(value)) throw invalidOption(option, `is not a valid URL (${encodeHint}); ${allowed}`);
  const url = new URL(value);
  if (url.hash !== "") throw invalidOption(option, `must not have a # part (${encodeHint})`);
  return url;
}

const credentialsIn = (url: URL, option: string) => ({
  username: url.username === "" ? undefined : decoded(url.username, option),
  // A user without a password is one whom the server asks for none.
  password: url.password === "" && url.username === "" ? undefined : decoded(url.password, option),
});

const allowed =
  "must be redis://…, rediss://… (TLS), redis-socket:///path, redis-cluster://host,host or redis-sentinel://host,host?master=name";
const encodeHint = "in a user or password, write # / ? @ : % as %23 %2F %3F %40 %3A %25";

/** For labels. */
export function hostAndPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function networkAddress(
  url: URL,
  scheme: string,
  db: number,
  option: string,
): Omit<RedisAddress, "username" | "password"> {
  const host = url.hostname === "" ? "localhost" : url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? 6379 : Number(url.port);
  if (port === 0) throw invalidOption(option, "must have a port between 1 and 65535");
  const label = `${scheme}//${hostAndPort({ host, port })}${db === 0 ? "" : `/${db}`}`;
  return { label, host, port, path: undefined, db, tls: scheme === "rediss:" ? {} : undefined };
}

function socketAddress(url: URL, db: number, option: string): Omit<RedisAddress, "username" | "password"> {
  if (url.hostname !== (url.username + url.password === "" ? "" : "socket") || url.pathname.length < 2) {
    throw invalidOption(option, "must be redis-socket:///path/to/redis.sock, with three slashes");
  }
  const path = decoded(url.pathname, option);
  if (hasControl(path)) throw invalidOption(option, "must not hold control characters");
  return { label: `redis-socket://${path}${db === 0 ? "" : `?db=${db}`}`, host: "", port: 0, path, db, tls: undefined };
}

function query(url: URL, names: readonly string[], option: string) {
  for (const name of url.searchParams.keys()) {
    if (!names.includes(name)) {
      throw invalidOption(option, `has an unknown parameter; there are ${names.join(", ")}`);
    }
  }
  const timeout = url.searchParams.get("timeout");
  return {
    db: database(url.searchParams.get("db") ?? "0", option),
    master: url.searchParams.get("master"),
    timeoutMs: timeout === null ? undefined : timeoutOf(timeout, `${option}?timeout`),
  };
}

function databaseIn(url: URL, option: string): number {
  const path = url.pathname.replace(/^\//, "");
  // The @ behind a user and a password: a / among those has ended them early.
  if (path.includes("@")) throw invalidOption(option, `has a / in its user or password (${encodeHint})`);
  return database(path === "" ? "0" : path, option);
}

function timeoutOf(text: string, option: string): number {
  try {
    return timeoutSetting.parse(text as Duration, option);
  } catch {
    throw invalidOption(option, `must be ${timeoutSetting.allowed}`);
  }
}

function database(text: string, option: string): number {
  if (!/^\d{1,5}$/.test(text)) throw invalidOption(option, "must name a database by its number, such as /2");
  return Number(text);
}

function decoded(text: string, option: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidOption(option, `has a % that is not followed by two hex digits (${encodeHint})`);
  }
}
