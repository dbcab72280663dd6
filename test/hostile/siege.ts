import { isUtf8 } from "node:buffer";
import type { Redis } from "ioredis";
import type { Broker } from "../../src/broker/broker.js";
import { seeded } from "../support/seeded.js";
import { Damage, oddQueues, type World } from "./damage.js";
import { healthyIn, isHealthy, unfinished } from "./healthy.js";
import { breaches } from "./judge.js";
import { Mix } from "./mix.js";
import type { Estate } from "./operator.js";
import { raze } from "./raze.js";
import { bytes, piped, raw, type Snapshot, snapshot } from "./snapshot.js";

/** Another one who reads what is left; the answer is what is wrong. */
export type Peer = (world: World, before: Snapshot, left: Snapshot) => Promise<readonly string[]>;

/**
 * One hostile key space: what is damaged, what healthy tasks run beside it, and what must hold afterwards.
 * @throws with the seed and all that is wrong
 */
export async function besiege(
  redis: Redis,
  broker: Broker,
  seed: number,
  peer: Peer = async () => [],
): Promise<{ readonly problems: number }> {
  const random = seeded(seed);
  const nowMs = Math.floor(Date.now() / 1_000) * 1_000;
  const queue = oddQueues[Math.floor(random() * oddQueues.length)]!;
  const world = new Damage(random, queue, nowMs / 1_000).make();
  const queues = [queue, "good"];
  const build = async () => {
    await redis.flushall();
    await broker.enqueue(queues.flatMap(healthyIn), nowMs);
    await piped(redis, world.commands);
  };
  await build();
  const before = await snapshot(redis);

  const estate = estateOf(redis, world);
  const mix = new Mix(broker, random, queues, nowMs, (_, id) => isHealthy(id), estate);
  try {
    await mix.rounds(3);
    for (const obstacle of world.obstacles) await obstructed(redis, obstacle, () => mix.rounds(3));
    await mix.untilQuiet();
    const left = await snapshot(redis);
    const wrong = [
      ...breaches(world, before, left, {
        completed: completedIn(mix, queue),
        deleted: mix.operator.deleted,
        payloads: mix.operator.payloads,
      }),
      ...unfinished(mix, queues),
      ...(await peer(world, before, left)),
    ];
    if (wrong.length > 0) throw new Error(wrong.join("\n"));
    await build();
    await raze(redis, broker, world, estate, random, mix.nowMs);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new Error(
      `seed ${seed}, queue ${JSON.stringify(queue.slice(0, 40))}: ${problem}\ntold: ${[...mix.calls.problems].join("; ")}`,
      { cause: error },
    );
  }
  return { problems: mix.calls.problems.size };
}

/** Where the damage is, for an operator. */
function estateOf(redis: Redis, { queue, records }: World): Estate {
  const ids = [...records.keys()].map(bytes).filter((id) => isUtf8(id));
  return {
    queue,
    ids: ids.map(String),
    async entriesOf(state) {
      const keys =
        state === "aggregating"
          ? [`asynq:{${queue}}:g:team`]
          : [`asynq:{${queue}}:${state}`, `holdfast:{${queue}}:${state}`];
      const found = await Promise.all(keys.map((key) => redis.callBuffer("ZRANGE", key, 0, -1).catch(() => [])));
      return (found.flat() as Buffer[]).map((id) => id.toString("latin1"));
    },
  };
}

/** A key of the wrong type is in the way for a while; then what was there is back. */
async function obstructed(redis: Redis, { key, commands }: World["obstacles"][number], work: () => Promise<void>) {
  const [name, aside] = [bytes(key), bytes(`${key} aside`)];
  const [was] = await piped(redis, [["EXISTS", name]]);
  await piped(redis, [...(was === 1 ? [["RENAME", name, aside] as const] : []), ...commands]);
  await work();
  await piped(redis, [["DEL", name], ...(was === 1 ? [["RENAME", aside, name] as const] : [])]);
}

function completedIn(mix: Mix, queue: string): Set<string> {
  const prefix = `${queue} `;
  return new Set(
    [...mix.completed.keys()].filter((key) => key.startsWith(prefix)).map((key) => raw(key.slice(prefix.length))),
  );
}
