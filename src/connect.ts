import { fileURLToPath } from "node:url";
import type { Broker } from "./broker/broker.js";
import { invalidOption, shown } from "./core/errors.js";
import { embeddedBroker } from "./embedded/index.js";
import { type RedisBrokerOptions, redisBroker } from "./redis/index.js";

/** Those of the Redis engine; a file or memory takes none. */
export type ConnectOptions = Omit<RedisBrokerOptions, "url">;

const forms = "redis://…, rediss://…, redis-socket:///path, file:./path, file:///path or memory:";

/**
 * A broker by its URL. Lazy: nothing is opened or connected before the first call.
 *
 * @example
 * connect("file:./tasks.db");
 * connect("redis://:secret@localhost:6379/2", { timeout: "5s" });
 * connect("memory:");
 * @throws OPTION_INVALID for a scheme or an option that there is not, or a URL that cannot be read
 */
export function connect(url: string, options: ConnectOptions = {}): Broker {
  if (typeof url !== "string") throw invalidOption("connect.url", `must be ${forms}, got ${shown(url)}`);
  if (typeof options !== "object" || options === null)
    throw invalidOption("connect", `options must be an object, got ${shown(options)}`);
  for (const name of ["url", "file"]) {
    if (Object.hasOwn(options, name))
      throw invalidOption(`connect.${name}`, "is not an option: the first argument says where");
  }
  const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(url)?.[0].toLowerCase();
  if (scheme === "file:") return embeddedBroker({ ...options, file: filePath(url) });
  if (scheme === "memory:") {
    if (url !== scheme) throw invalidOption("connect.url", 'must be just "memory:"');
    return embeddedBroker({ ...options, file: ":memory:" });
  }
  if (scheme?.startsWith("redis") === true) return redisBroker({ ...options, url });
  // Only the scheme is shown: what follows may hold a password.
  throw invalidOption(
    "connect.url",
    `must be ${forms}, got ${scheme === undefined ? "no scheme" : `the scheme ${shown(scheme)}`}`,
  );
}

/** The path of a file URL; unlike other URLs it may be relative to the working directory. */
function filePath(url: string): string {
  const path = url.slice("file:".length);
  if (/[?#]/.test(path)) throw invalidOption("connect.url", "must not hold ? or #; in a file's name write %3F and %23");
  try {
    const plain = path.startsWith("/") ? fileURLToPath(url) : decodeURIComponent(path);
    if (plain !== "" && !plain.startsWith(":") && !plain.endsWith("/") && !plain.includes("\0")) return plain;
  } catch {
    // Not an absolute path on this machine, or a stray %: as below.
  }
  throw invalidOption(
    "connect.url",
    `must name a file, such as file:./tasks.db or file:///var/lib/tasks.db, got ${shown(url)}`,
  );
}
