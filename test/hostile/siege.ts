import type { Redis } from "ioredis";
import type { Broker } from "../../src/broker/broker.js";
import { newTask } from "../support/builders.js";
import { seeded } from "../support/seeded.js";
import { Damage, oddQueues, type World } from "./damage.js";
import { breaches } from "./judge.js";
import { Mix } from "./mix.js";
import { bytes, piped, raw, snapshot } from "./snapshot.js";

const healthyIn = (queue: string) => Array.from({ length: 5 }, (_, n) => newTask({ id: `healthy-${n}`, queue }));
const isHealthy = (id: string) => id.startsWith("healthy-");

/**
 * One hostile key space: what is damaged, what healthy tasks run beside it, and what must hold afterwards.
 * @throws with the seed and all that is wrong
 */
export async function besiege(redis: Redis, broker: Broker, seed: number): Promise<{ readonly problems: number }> {
  const random = seeded(seed);
  const nowMs = Math.floor(Date.now() / 1_000) * 1_000;
  const queue = oddQueues[Math.floor(random() * oddQueues.length)]!;
  const world = new Damage(random, queue, nowMs / 1_000).make();
  const queues = [queue, "good"];
  await redis.flushall();
  await broker.enqueue(queues.flatMap(healthyIn), nowMs);
  await piped(redis, world.commands);
  const before = await snapshot(redis);

  const mix = new Mix(broker, random, queues, nowMs, (_, id) => isHealthy(id));
  try {
    await mix.rounds(2);
    for (const obstacle of world.obstacles) await obstructed(redis, obstacle, () => mix.rounds(3));
    await mix.untilQuiet();
    const wrong = [
      ...breaches(world, before, await snapshot(redis), completedIn(mix, queue)),
      ...unfinished(mix, queues),
    ];
    if (wrong.length > 0) throw new Error(wrong.join("\n"));
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new Error(
      `seed ${seed}, queue ${JSON.stringify(queue.slice(0, 40))}: ${problem}\ntold: ${[...mix.problems].join("; ")}`,
      { cause: error },
    );
  }
  return { problems: mix.problems.size };
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

function unfinished(mix: Mix, queues: readonly string[]): string[] {
  return queues.flatMap((queue) =>
    healthyIn(queue)
      .filter(({ message }) => !mix.completed.has(`${queue} ${message.id}`))
      .map(({ message }) => `${message.id} of ${queue} was not completed`),
  );
}
