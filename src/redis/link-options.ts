import { invalidOption, shown } from "../core/errors.js";
import { type Resolved, setting } from "../core/settings.js";
import { parseRedisUrl, type RedisAddress, timeoutSetting, type TlsOptions } from "./redis-url.js";

/** What a link is opened with. Can be sent to a thread. */
export type LinkOptions = {
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
  password: setting.text({
    default: undefined,
    allowed: "text",
    says: "the password at Redis, likewise",
    parse: secret,
  }),
  tls: setting.record<string | boolean, TlsOptions>({
    default: {},
    allowed: "an object of ca, cert, key, servername (text) and rejectUnauthorized (true or false)",
    says: "certificates for URLs that begin with rediss; without them the system's authorities are trusted",
    parse: tlsOptions,
  }),
};

/** @throws OPTION_INVALID where certificates are given for a URL that does not use TLS, or a user or password twice */
export function linkOptions(given: Resolved<typeof linkSettings>, owner: string): LinkOptions {
  const url = parseRedisUrl(given.url, `${owner}.url`);
  const { label, timeoutMs = given.timeoutMs } = url;
  const servers = url.kind === "server" ? [url.address] : url.kind === "cluster" ? url.nodes : url.sentinels;
  const secured = servers.map((server) => (server.tls === undefined ? server : { ...server, tls: given.tls }));
  const { tls } = secured[0]!;
  if (tls === undefined && Object.keys(given.tls).length > 0) {
    throw invalidOption(`${owner}.tls`, "is for URLs that begin with rediss only");
  }
  const { username, password } = given;
  if (username !== undefined && password === undefined) {
    throw invalidOption(`${owner}.username`, 'needs a password, too: "" where the server asks for none');
  }
  if (url.kind === "sentinel") {
    const data = { username, password, db: url.db, tls };
    return { kind: "sentinel", label, timeoutMs, sentinels: secured, master: url.master, data };
  }
  if (password !== undefined && servers[0]!.password !== undefined) {
    throw invalidOption(`${owner}.password`, "is in the URL, too: give it in one place");
  }
  const known = password === undefined ? secured : secured.map((server) => ({ ...server, username, password }));
  return url.kind === "server"
    ? { kind: "server", label, timeoutMs, address: known[0]! }
    : { kind: "cluster", label, timeoutMs, seeds: known };
}

function secret(value: unknown, option: string): string {
  if (typeof value !== "string") throw invalidOption(option, `must be text, got a value of type ${typeof value}`);
  return value;
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
