import type { Broker } from "./broker/broker.js";
import { invalidOption, shown } from "./core/errors.js";
import { filePath } from "./embedded/file-url.js";
import { embeddedBroker } from "./embedded/index.js";
import { type RedisBrokerOptions, redisBroker } from "./redis/index.js";
import { redisSettings } from "./redis/options.js";

/** Those of the Redis engine; a file or memory takes none. */
export type ConnectOptions = Omit<RedisBrokerOptions, "url">;

const forms =
  "redis://…, rediss://…, redis-socket:///path, redis-cluster://…, redis-sentinel://…, file:./path, file:///path or memory:";

/**
 * A broker by its URL. Lazy: nothing is opened or connected before the first call.
 *
 * @example
 * connect("file:./tasks.db");
 * connect("redis://:secret@localhost:6379/2", { timeout: "5s" });
 * connect("redis-cluster://10.0.0.1:6379,10.0.0.2:6379", { username: "worker", password: "secret" });
 * connect("memory:");
 * @throws OPTION_INVALID for a scheme or an option that there is not, or a URL that cannot be read
 */
export function connect(url: string, options: ConnectOptions = {}): Broker {
  if (typeof url !== "string") throw invalidOption("connect.url", `must be ${forms}, got ${shown(url)}`);
  if (typeof options !== "object" || options === null)
    throw invalidOption("connect", `options must be an object, got ${shown(options)}`);
  const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(url)?.[0].toLowerCase();
  requireOptionsOf(scheme, options);
  if (scheme === "file:") return embeddedBroker({ file: filePath(url) });
  if (scheme === "memory:") {
    if (url !== scheme) throw invalidOption("connect.url", 'must be just "memory:"');
    return embeddedBroker({ file: ":memory:" });
  }
  if (scheme?.startsWith("redis") === true) return redisBroker({ ...options, url });
  // Only the scheme is shown: what follows may hold a password.
  throw invalidOption(
    "connect.url",
    `must be ${forms}, got ${scheme === undefined ? "no scheme" : `the scheme ${shown(scheme)}`}`,
  );
}

/** @throws OPTION_INVALID, in terms of what the user called, for an option that there is not with such a URL */
function requireOptionsOf(scheme: string | undefined, options: ConnectOptions): void {
  const embedded = scheme === "file:" || scheme === "memory:";
  const there = embedded ? `with ${scheme} there are none` : `there are ${redisOptions.join(", ")}`;
  for (const name of Object.keys(options)) {
    const option = `connect.${name.slice(0, 64)}`;
    if (name === "url" || name === "file")
      throw invalidOption(option, "is not an option: the first argument says where");
    if (!redisOptions.includes(name)) throw invalidOption(option, `is not an option; ${there}`);
    if (embedded) throw invalidOption(option, `is an option of Redis; ${there}`);
  }
}

const redisOptions = [...Object.keys(redisSettings).filter((name) => name !== "url"), "log"];
