import { HoldfastError } from "../core/errors.js";
import type { Logger } from "../core/log.js";
import { schemaKey } from "./keys.js";
import { LinkError, type RedisLink, type Reply } from "./link.js";
import { isForbidden } from "./server-error.js";

export interface ServerCheck {
  /** Take a server that may evict keys when its memory is full. */
  readonly allowEviction: boolean;
  readonly log: Logger;
}

/** The version of our keys and fields. Whoever finds a higher one leaves the data alone. */
const schema = 1;

/** The first with ZMSCORE, HRANDFIELD and asynq's own `ZRANGE … BYSCORE`. */
const oldest = [6, 2] as const;

/**
 * Whether this server, or each of a Cluster, can hold tasks, looked at before the first call.
 * @throws BROKER_INCOMPATIBLE for a server that is too old, evicts keys, is a Cluster's where one server
 * is expected, or holds a newer version's data;
 * BROKER_UNAVAILABLE
 */
export async function checkServer(link: RedisLink, check: ServerCheck): Promise<void> {
  const nodes = await link.nodes();
  const [[, found], ...servers] = await Promise.all([
    link.run([
      { name: "SET", args: [schemaKey, schema, "NX"] },
      { name: "GET", args: [schemaKey] },
    ]),
    ...nodes.map((node) =>
      node.run([
        { name: "INFO", args: ["server"] },
        { name: "INFO", args: ["memory"] },
      ]),
    ),
  ]);
  for (const replies of servers) checkNode(link, replies, check);
  // A server that is loading its data answers INFO and refuses this: it must be asked again.
  if (found instanceof LinkError && found.code !== "NOPERM") throw found.toError(link.label);
  if (Buffer.isBuffer(found) && !(Number(String(found)) <= schema)) {
    throw unusable(
      link,
      `its data are of version ${String(found).slice(0, 20)}, this release knows up to ${schema}: upgrade it`,
    );
  }
}

function checkNode(link: RedisLink, [server, memory]: readonly Reply[], { allowEviction, log }: ServerCheck): void {
  const info = { ...infoOf(server, link), ...infoOf(memory, link) };
  const version = info["redis_version"];
  if (version === undefined) {
    log.warn({ broker: link.label }, "INFO is not allowed for this user: version and eviction policy were not checked");
  } else if (isOlder(version)) {
    throw unusable(link, `Redis ${version} is too old, ${oldest.join(".")} is the oldest that works`);
  }
  if (info["redis_mode"] === "cluster" && !link.oneSlotPerCall) {
    throw unusable(link, "it is a node of a Redis Cluster: write redis-cluster:// in the URL");
  }
  const policy = info["maxmemory_policy"];
  if (policy !== undefined && policy !== "noeviction" && !allowEviction) {
    throw unusable(
      link,
      `maxmemory-policy is ${policy}: tasks would be deleted when memory is full. ` +
        "Set it to noeviction, or set allowEviction when losing tasks is acceptable",
    );
  }
}

const unusable = (link: RedisLink, problem: string) =>
  new HoldfastError("BROKER_INCOMPATIBLE", { broker: link.label, problem });

/** What INFO says, by name; nothing where the user may not ask. */
export function infoOf(reply: Reply | undefined, link: Pick<RedisLink, "label">): Record<string, string> {
  if (reply instanceof LinkError) {
    if (isForbidden(reply)) return {};
    throw reply.toError(link.label);
  }
  return Object.fromEntries(
    String(reply)
      .split("\r\n")
      .filter((line) => line.includes(":") && !line.startsWith("#"))
      .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]),
  );
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < oldest[0] || (major === oldest[0] && minor < oldest[1]);
}
