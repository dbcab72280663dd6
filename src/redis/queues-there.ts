import { HoldfastError } from "../core/errors.js";
import type { QueueInfo } from "../core/info.js";
import { portions } from "../core/portions.js";
import { otherQueues, type QueueList, queueList, type UnavailableQueue } from "../core/queue-list.js";
import { workersThere } from "./announce.js";
import { answersOf, isAway, listOf, unavailable } from "./answers.js";
import { keysOf } from "./keys.js";
import type { RedisLink } from "./link.js";
import { allQueues, existing, maxGroups, queueInfo, queues, queuesPerTrip } from "./look.js";
import { queues as queuesCall } from "./scripts.gen.js";

/**
 * Of a Cluster the queues of the nodes that answer, and which others there are. Each node that is away is waited for once.
 * `onFailed` hears of what is not thrown.
 * @throws BROKER_UNAVAILABLE where nobody can tell which queues there are
 */
export async function queuesThere(
  link: RedisLink,
  nowMs: number,
  wanted: readonly string[] | undefined,
  onFailed: (error: unknown) => void,
): Promise<QueueList> {
  if (!link.oneSlotPerCall) return queueList(await queues(link, nowMs, wanted));
  const { names, unsure } = await namesOf(link, wanted, nowMs, onFailed);
  const found: QueueInfo[] = [];
  const missing: UnavailableQueue[] = [];
  const miss = (name: string, problem: string) => missing.push({ name, shard: link.shardOf(name) ?? "", problem });
  const away = new Map<string, string>();
  for (const some of portions(names.toSorted(), queuesPerTrip)) {
    const knownToBeAway = (name: string) => away.get(link.shardOf(name) ?? "");
    for (const name of some.filter(knownToBeAway)) miss(name, knownToBeAway(name)!);
    const asked = some.filter((name) => knownToBeAway(name) === undefined);
    const replies = await answersOf(
      link,
      asked.map((name) => queuesCall([keysOf(name)], { maxGroups })),
    );
    for (const [n, name] of asked.entries()) {
      const reply = replies[n];
      if (isAway(reply)) {
        onFailed(reply.toError(link.label));
        miss(name, reply.problem);
        // While a slot moves only what is on it cannot be asked.
        if (link.shardOf(name) !== undefined && reply.code !== "TRYAGAIN") away.set(link.shardOf(name)!, reply.problem);
        continue;
      }
      const info = queueInfo(name, listOf(link.label, reply), nowMs);
      // One of which only the other node could say that it is there.
      const isUnsure = unsure !== undefined && isEmpty(info);
      if (!isUnsure) found.push(info);
      else if (wanted !== undefined) miss(name, unsure.data.problem);
    }
  }
  const others = unsure !== undefined && wanted === undefined ? [othersThan(unsure)] : [];
  return queueList(found, [...missing.toSorted((a, b) => (a.name < b.name ? -1 : 1)), ...others]);
}

interface Names {
  readonly names: readonly string[];
  /** Why it is not known whether there are such queues, or which others. */
  readonly unsure?: HoldfastError<"BROKER_UNAVAILABLE">;
}

/**
 * One node has the names of all queues. Without it a queue that is asked for by its name can be told, and those that living
 * workers serve, whose names are on another one.
 */
async function namesOf(
  link: RedisLink,
  wanted: readonly string[] | undefined,
  nowMs: number,
  onFailed: (error: unknown) => void,
): Promise<Names> {
  const given = wanted && [...new Set(wanted)];
  const names = await (given === undefined ? allQueues(link) : existing(link, given)).catch(unavailable);
  if (!(names instanceof HoldfastError)) return { names };
  if (names.data.problem.startsWith("NOPERM")) throw names;
  onFailed(names);
  if (given !== undefined) return { names: given, unsure: names };
  const living = await workersThere(link, nowMs, onFailed).catch(unavailable);
  if (living instanceof HoldfastError) throw names;
  const served = [...new Set(living.flatMap(({ queues: own }) => Object.keys(own)))];
  if (served.length > 0) return { names: served, unsure: names };
  const problem = `${names.data.problem}; the names of all queues are there: ask for one by its name`;
  throw new HoldfastError("BROKER_UNAVAILABLE", { ...names.data, problem }, { cause: names });
}

const othersThan = ({ data }: HoldfastError<"BROKER_UNAVAILABLE">): UnavailableQueue => {
  const problem = `${data.problem}; the names of all queues are there, and only those that living workers serve are known`;
  return { name: otherQueues, shard: "", problem };
};

const isEmpty = ({ paused, counts, processed }: QueueInfo) =>
  !paused && processed === 0 && Object.values(counts).every((count) => count === 0);
