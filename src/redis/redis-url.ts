import type { Duration } from "../core/duration.js";
import { hasControl, invalidOption, shown } from "../core/errors.js";
import { setting } from "../core/settings.js";

/** Where a Redis server is and who we are there. Can be sent to a thread. */
export interface RedisAddress {
  /** "redis://host:6379/2": no user and no password. */
  readonly label: string;
  readonly host: string;
  readonly port: number;
  /** A Unix socket's; then host and port mean nothing. */
  readonly path: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
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

export interface LinkOptions extends RedisAddress {
  /** Of one call, all included. */
  readonly timeoutMs: number;
}

/** The options of a link, for the engine's own table. */
export const linkSettings = {
  url: setting.text({
    default: "redis://localhost:6379",
    allowed: "redis://[[user]:password@]host[:port][/db], rediss://… or redis-socket:///path[?db=n]",
    says: "where the Redis server is; it may set the timeout too: ?timeout=5s",
    parse(value, option) {
      parseRedisUrl(value, option);
      return value as string;
    },
  }),
  timeout: setting.duration({
    default: "2s",
    min: "50ms",
    max: "1h",
    says: "longest one call may take, connecting included; the URL's timeout goes before it",
  }),
  tls: setting.record<string | boolean, TlsOptions>({
    default: {},
    allowed: "an object of ca, cert, key, servername (text) and rejectUnauthorized (true or false)",
    says: "certificates for rediss:// URLs; without them the system's authorities are trusted",
    parse: tlsOptions,
  }),
};

/** @throws OPTION_INVALID where certificates are given for a URL that does not use TLS */
export function linkOptions(given: { url: string; timeoutMs: number; tls: TlsOptions }, owner: string): LinkOptions {
  const { timeoutMs = given.timeoutMs, ...address } = parseRedisUrl(given.url, `${owner}.url`);
  if (address.tls !== undefined) return { ...address, tls: given.tls, timeoutMs };
  if (Object.keys(given.tls).length > 0) throw invalidOption(`${owner}.tls`, "is for rediss:// URLs only");
  return { ...address, timeoutMs };
}

/**
 * Reads asynq's forms of a Redis URL.
 * @throws OPTION_INVALID for anything else; the message holds nothing of the URL, for a password with a `/` or `?` in it
 * may be anywhere
 */
export function parseRedisUrl(
  value: unknown,
  option = "url",
): RedisAddress & { readonly timeoutMs: number | undefined } {
  if (typeof value !== "string") throw invalidOption(option, `must be a URL, got ${shown(value)}`);
  // URLs with a user must have a host, which a socket does not.
  const readable = value.replace(/^(redis-socket:\/\/[^/@]*@)\//i, "$1socket/");
  const url = URL.canParse(readable) ? new URL(readable) : undefined;
  const scheme = url?.protocol ?? /^[a-z-]+:/i.exec(value)?.[0].toLowerCase() ?? "";
  if (/^rediss?-(sentinel|cluster):$/.test(scheme) || /^rediss?:\/\/[^/?#]*,/.test(value)) {
    throw invalidOption(option, `Sentinel and Cluster come with a later release; ${allowed}`);
  }
  if (!["redis:", "rediss:", "redis-socket:"].includes(scheme)) throw invalidOption(option, allowed);
  if (url === undefined) throw invalidOption(option, `is not a valid URL (${encodeHint}); ${allowed}`);
  if (url.hash !== "") throw invalidOption(option, `must not have a # part (${encodeHint})`);
  const credentials = {
    username: url.username === "" ? undefined : decoded(url.username, option),
    // A user without a password is one whom the server asks for none.
    password: url.password === "" && url.username === "" ? undefined : decoded(url.password, option),
  };
  const { db, timeoutMs } = query(url, scheme === "redis-socket:" ? ["db", "timeout"] : ["timeout"], option);
  return scheme === "redis-socket:"
    ? { ...socketAddress(url, db, option), ...credentials, timeoutMs }
    : { ...networkAddress(url, option), ...credentials, timeoutMs };
}

const allowed = "must be redis://…, rediss://… (TLS) or redis-socket:///path";
const encodeHint = "in a user or password, write # / ? @ : % as %23 %2F %3F %40 %3A %25";

function networkAddress(url: URL, option: string): Omit<RedisAddress, "username" | "password"> {
  const host = url.hostname === "" ? "localhost" : url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? 6379 : Number(url.port);
  if (port === 0) throw invalidOption(option, "must have a port between 1 and 65535");
  const db = database(url.pathname.replace(/^\//, "").replace(/^$/, "0"), option);
  const at = host.includes(":") ? `[${host}]` : host;
  const label = `${url.protocol}//${at}:${port}${db === 0 ? "" : `/${db}`}`;
  return { label, host, port, path: undefined, db, tls: url.protocol === "rediss:" ? {} : undefined };
}

function socketAddress(url: URL, db: number, option: string): Omit<RedisAddress, "username" | "password"> {
  if (url.hostname !== (url.username + url.password === "" ? "" : "socket") || url.pathname.length < 2) {
    throw invalidOption(option, "must be redis-socket:///path/to/redis.sock, with three slashes");
  }
  const path = decoded(url.pathname, option);
  if (hasControl(path)) throw invalidOption(option, "must not hold control characters");
  return { label: `redis-socket://${path}${db === 0 ? "" : `?db=${db}`}`, host: "", port: 0, path, db, tls: undefined };
}

function query(url: URL, names: readonly string[], option: string): { db: number; timeoutMs: number | undefined } {
  for (const name of url.searchParams.keys()) {
    if (!names.includes(name)) {
      throw invalidOption(option, `has an unknown parameter; there are ${names.join(", ")}`);
    }
  }
  const timeout = url.searchParams.get("timeout");
  return {
    db: database(url.searchParams.get("db") ?? "0", option),
    timeoutMs: timeout === null ? undefined : timeoutOf(timeout, `${option}?timeout`),
  };
}

function timeoutOf(text: string, option: string): number {
  try {
    return linkSettings.timeout.parse(text as Duration, option);
  } catch {
    throw invalidOption(option, `must be ${linkSettings.timeout.allowed}`);
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

function tlsOptions(value: unknown, option: string): TlsOptions {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidOption(option, `must be ${linkSettings.tls.allowed}, got ${shown(value)}`);
  }
  for (const [name, part] of Object.entries(value)) {
    if (!["ca", "cert", "key", "servername", "rejectUnauthorized"].includes(name)) {
      throw invalidOption(`${option}.${name.slice(0, 64)}`, `is not an option; there are ${linkSettings.tls.allowed}`);
    }
    const kind = name === "rejectUnauthorized" ? "boolean" : "string";
    if (typeof part !== kind)
      throw invalidOption(`${option}.${name}`, `must be a ${kind}, got a value of type ${typeof part}`);
  }
  return value;
}
