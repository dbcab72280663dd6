import type { Redis } from "ioredis";
import type { Broker } from "../../src/broker/broker.js";
import type { World } from "./damage.js";
import { Mix } from "./mix.js";
import type { Estate } from "./operator.js";
import { bytes, piped, raw, type Snapshot, snapshot } from "./snapshot.js";

/**
 * The damaged queue is dropped, bit by bit, in the midst of it: nothing that has its name stays, and nothing else goes.
 * @throws with all that is wrong
 */
export async function raze(
  redis: Redis,
  broker: Broker,
  world: World,
  estate: Estate,
  random: () => number,
  nowMs: number,
): Promise<void> {
  const { queue } = world;
  const mix = new Mix(broker, random, [queue], nowMs, () => false, estate);
  await mix.rounds(1);
  const obstacles = world.obstacles.map(({ key }) => bytes(key));
  for (const { key, commands } of world.obstacles) await piped(redis, [["DEL", bytes(key)], ...commands]);
  const before = await snapshot(redis);
  const limit = 1 + Math.floor(random() * 20);
  const by = { actor: "operator", reason: "no use", requestId: "drop" };

  for (let n = 0; ; n += 1) {
    if (n > 200) throw new Error("there is no end to the drop");
    const receipt = await broker.dropQueue(queue, { force: true, limit }, by, mix.nowMs);
    if (receipt === "dropped") break;
    // What a key in the way keeps active is so until somebody mends it.
    if (receipt === "active" && n === 20)
      await piped(
        redis,
        obstacles.map((key) => ["DEL", key]),
      );
    if (receipt === "active") await mix.round([61_000]);
    else if (receipt !== "more") throw new Error(`the drop answers ${receipt}`);
  }

  const after = await snapshot(redis);
  const names = after.get("asynq:queues");
  const wrong = [
    ...[...after.keys()].filter((key) => isOf(queue, key)).map((key) => `still there after the drop: ${key}`),
    ...(names?.type === "set" && names.members.includes(raw(queue)) ? ["the queue is still among the queues"] : []),
    ...elsewhere(queue, before, after),
  ];
  if (wrong.length > 0) throw new Error(wrong.join("\n"));
}

const isOf = (queue: string, key: string) =>
  key.startsWith(raw(`asynq:{${queue}}:`)) || key.startsWith(raw(`holdfast:{${queue}}:`));

function elsewhere(queue: string, before: Snapshot, after: Snapshot): string[] {
  return (
    [...before]
      // Who dropped it is said in the log for all.
      .filter(
        ([key]) =>
          !isOf(queue, key) &&
          !["asynq:queues", "holdfast:audit"].includes(key) &&
          shown(after, key) !== shown(before, key),
      )
      .map(([key]) => `the drop changed ${key}: ${shown(before, key)} is ${shown(after, key)}`)
  );
}

const shown = (space: Snapshot, key: string) =>
  JSON.stringify(space.get(key), (_, value: unknown) => (value instanceof Map ? [...value] : value)) ?? "nothing";
