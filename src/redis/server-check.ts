import { HoldfastError } from "../core/errors.js";
import { within } from "../core/expiry.js";
import type { Logger } from "../core/log.js";
import { schemaKey } from "./keys.js";
import { type Caller, type Command, LinkError, type RedisLink, type Reply, type RunOptions } from "./link.js";
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

/** How much longer than for the first node of a Cluster it is waited for the others: who is away holds up nobody. */
const patienceMs = 500;

/**
 * Whether this server can hold tasks, or each of a Cluster's that is there, looked at before the first call. Nodes that are
 * away are looked at by the link, before anything is sent to them.
 * Answers whether the data's version could be read: one node of a Cluster has it.
 * @throws BROKER_INCOMPATIBLE for a server that is too old, evicts keys, is a Cluster's where one server
 * is expected, or holds a newer version's data;
 * BROKER_UNAVAILABLE
 */
export async function checkServer(link: RedisLink, check: ServerCheck): Promise<boolean> {
  const nodes = await link.nodes();
  if (!link.oneSlotPerCall) {
    const looks = nodes.map((node) =>
      checkNode({ label: link.label, run: (...how) => node.run(...how) }, check, false),
    );
    await Promise.all([checkVersion(link), ...looks]);
    return true;
  }
  const patient = { insist: false };
  const looks = [checkVersion(link, patient), ...nodes.map((node) => node.run([{ name: "PING", args: [] }], patient))];
  const good = new Set<number>();
  const errors: Error[] = [];
  const ended = looks.map(async (look, n) =>
    look.then(
      () => good.add(n),
      (error: Error) => errors.push(error),
    ),
  );
  await Promise.any(looks).catch(() => undefined);
  await within(Promise.all(ended), patienceMs);
  const grave = errors
    .map((error) => unfit(link, error))
    .find((error) => !HoldfastError.is(error, "BROKER_UNAVAILABLE"));
  if (grave !== undefined) throw grave;
  if (good.size === 0) throw errors[0]!;
  return good.has(0);
}

/** What is wrong with a node costs its own queues alone, unless it is known from the start. */
const unfit = (link: RedisLink, error: Error): Error =>
  HoldfastError.is(error, "BROKER_UNAVAILABLE") && HoldfastError.is(error.cause, "BROKER_INCOMPATIBLE")
    ? unusable(link.label, error.data.problem)
    : error;

/** Writes it where there is none. @throws BROKER_INCOMPATIBLE BROKER_UNAVAILABLE */
export async function checkVersion(link: RedisLink, options: RunOptions = {}): Promise<void> {
  const calls = [
    { name: "SET", args: [schemaKey, schema, "NX"] },
    { name: "GET", args: [schemaKey] },
  ];
  const [, found] = await link.run(calls, options);
  // A server that is loading its data answers INFO and refuses this: it must be asked again.
  if (found instanceof LinkError && found.code !== "NOPERM") throw found.toError(link.label);
  if (Buffer.isBuffer(found) && !(Number(String(found)) <= schema)) {
    throw unusable(
      link.label,
      `its data are of version ${String(found).slice(0, 20)}, this release knows up to ${schema}: upgrade it`,
    );
  }
}

/** One server by itself. @throws BROKER_INCOMPATIBLE BROKER_UNAVAILABLE */
export async function checkNode(
  node: Caller,
  { allowEviction, log }: ServerCheck,
  inCluster: boolean,
  options: RunOptions = {},
): Promise<void> {
  const info = infoIn(await node.run(infoCalls(["server", "memory"]), options), node);
  const version = info["redis_version"];
  if (version === undefined) {
    log.warn({ broker: node.label }, "INFO is not allowed for this user: version and eviction policy were not checked");
  } else if (isOlder(version)) {
    throw unusable(node.label, `Redis ${version} is too old, ${oldest.join(".")} is the oldest that works`);
  }
  if (info["redis_mode"] === "cluster" && !inCluster) {
    throw unusable(node.label, "it is a node of a Redis Cluster: write redis-cluster:// in the URL");
  }
  const policy = info["maxmemory_policy"];
  if (policy !== undefined && policy !== "noeviction" && !allowEviction) {
    throw unusable(
      node.label,
      `maxmemory-policy is ${policy}: tasks would be deleted when memory is full. ` +
        "Set it to noeviction, or set allowEviction when losing tasks is acceptable",
    );
  }
}

const unusable = (broker: string, problem: string) => new HoldfastError("BROKER_INCOMPATIBLE", { broker, problem });

export const infoCalls = (sections: readonly string[]): Command[] =>
  sections.map((section) => ({ name: "INFO", args: [section] }));

/** What all these say together. */
export const infoIn = (replies: readonly Reply[], link: Pick<RedisLink, "label">): Record<string, string> =>
  Object.assign({}, ...replies.map((reply) => infoOf(reply, link))) as Record<string, string>;

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
