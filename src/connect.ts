import type { Broker } from "./broker/broker.js";
import { invalidOption, shown } from "./core/errors.js";
import { consoleLogger } from "./core/log.js";
import { type Given, resolve } from "./core/settings.js";
import { filePath } from "./embedded/file-url.js";
import { embeddedBroker } from "./embedded/index.js";
import { OutageFiles } from "./embedded/spool/outage-files.js";
import { FileSpoolStore } from "./embedded/spool/file-spool-store.js";
import { type FileSpoolOptions, spoolSettings } from "./embedded/spool/spool-options.js";
import { ProcessOutages } from "./outages/recorder.js";
import { openBroker } from "./redis/open-broker.js";
import { type RedisBrokerOptions, redisSettings } from "./redis/options.js";
import { LocalSpool } from "./spool/local-spool.js";
import { deliverySettings } from "./spool/options.js";

/** Those of the Redis engine; a file or memory takes none. */
export interface ConnectOptions extends Omit<RedisBrokerOptions, "url"> {
  /** A directory on a local disk, where tasks wait that Redis does not take, or that it may lose. Opened when it is needed. */
  readonly spool?: string | SpoolOptions | undefined;
}

export interface SpoolOptions extends FileSpoolOptions, Given<typeof deliverySettings> {}

const forms =
  "redis://…, rediss://…, redis-socket:///path, redis-cluster://…, redis-sentinel://…, file:./path, file:///path or memory:";

/**
 * A broker by its URL. Lazy: nothing is opened or connected before the first call.
 *
 * @example
 * connect("file:./tasks.db");
 * connect("redis://:secret@localhost:6379/2", { timeout: "5s" });
 * connect("redis-cluster://10.0.0.1:6379,10.0.0.2:6379", { username: "worker", password: "secret" });
 * connect("redis://localhost", { spool: "./spool" });
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
  if (scheme?.startsWith("redis") === true) {
    const { spool, ...others } = options;
    const openSpool = spool === undefined ? undefined : spoolOpener(spool, options.log);
    const journal =
      spool === undefined ? undefined : new OutageFiles(typeof spool === "string" ? spool : spool.directory);
    return openBroker("connect", { ...others, url }, openSpool, (source) => new ProcessOutages(source, journal));
  }
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

const redisOptions = [...Object.keys(redisSettings).filter((name) => name !== "url"), "log", "spool"];

/** @throws OPTION_INVALID */
function spoolOpener(given: string | SpoolOptions, log = consoleLogger) {
  const options = typeof given === "string" ? { directory: given } : given;
  const { trustAfterMs, afterSave, maxPerSecond } = resolve(
    { ...spoolSettings, ...deliverySettings },
    options,
    "spool",
  );
  const ofFiles = Object.entries(options).filter(([name]) => Object.hasOwn(spoolSettings, name));
  const store = new FileSpoolStore(Object.fromEntries(ofFiles) as unknown as FileSpoolOptions, log);
  const { directory } = store;
  return (broker: Broker) =>
    new LocalSpool(broker, { directory, openStore: async () => store, log, trustAfterMs, afterSave, maxPerSecond });
}
