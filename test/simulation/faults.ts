import type { Fleet } from "./fleet.js";
import type { Follower } from "./follower.js";
import type { Journal } from "./journal.js";
import type { Road } from "./road.js";
import { longestDoomedMs } from "./shard.js";
import type { World } from "./world.js";

interface Scene {
  readonly world: World;
  readonly journal: Journal;
  readonly fleet: Fleet;
}

/** Begins; answers what ends it. */
type Fault = (scene: Scene) => () => void;

/** Leases that were broken by it have run out by then, and what they held has been taken again. */
const calmAfterMs = 15_000;

/** Some of the roads, or all. */
function someRoads({ world, fleet }: Scene): Road[] {
  const { roads } = fleet;
  return world.chance(0.4) ? roads : roads.filter(() => world.chance(0.4));
}

/** That many more faults of a kind are at work, until what is answered is called. */
function raised<K extends string>(things: readonly { [key in K]: number }[], kind: K): () => void {
  const raise = (by: number) => things.forEach((thing) => ((thing as Record<K, number>)[kind] += by));
  raise(1);
  return () => raise(-1);
}

/** So much memory is not there, such a machine is not there. */
const faults: Readonly<Record<string, Fault>> = {
  cut: (scene) => raised(someRoads(scene), "cut"),
  swallow: (scene) => raised(someRoads(scene), "swallows"),
  lostReplies: (scene) => raised(someRoads(scene), "losesReplies"),
  slow: (scene) => raised(someRoads(scene), "slow"),
  slower: (scene) => raised(scene.fleet.roads, "slow"),
  blind: (scene) => raised(someRoads(scene), "blind"),
  full: ({ world, fleet }) => raised([world.one(fleet.shards)], "refusing"),
  diskFull: ({ fleet }) => raised([fleet.disk], "full"),
  diskFails: ({ fleet }) => raised([fleet.disk], "failing"),
  diskSlow: ({ fleet }) => raised([fleet.disk], "slow"),
  down: ({ world, fleet }) => raised([world.one(fleet.shards)], "down"),
  powerCut: ({ world, fleet }) => {
    const shard = world.one(fleet.shards);
    const up = raised([shard], "down");
    return () => {
      // While it is being failed over it is another's to decide what becomes of its data.
      if (shard.stale === undefined) shard.powerCut();
      up();
    };
  },
  killProducer: ({ world, fleet }) => {
    const n = world.among(0, fleet.producers.length - 1);
    const producer = fleet.producers[n]!;
    if (producer.process.state === "dead") return () => {};
    fleet.kill(producer);
    return () => fleet.addProducer(n);
  },
  killWorker: ({ world, fleet }) => {
    const n = world.among(0, fleet.consumers.length - 1);
    const consumer = fleet.consumers[n]!;
    if (consumer.process.state === "dead") return () => {};
    fleet.kill(consumer);
    return () => fleet.addConsumer(n);
  },
  freeze: ({ world, fleet, journal }) => {
    const process = world.one(fleet.processes);
    if (process.state !== "running") return () => {};
    world.freeze(process);
    journal.say({ e: "process", name: process.name, what: "frozen" }, "supervisor");
    return () => {
      if (process.state === "dead") return;
      world.thaw(process);
      journal.say({ e: "process", name: process.name, what: "thawed" }, "supervisor");
    };
  },
};

/** A master is given up, by hand or because it is cut off from most, and goes on for a while all the same. */
const failover: Fault = ({ world, fleet }) => {
  const shard = world.one(fleet.shards);
  const heirs = fleet.heirs(shard);
  if (shard.stale !== undefined || shard.down > 0 || heirs.length === 0) return () => {};
  const roads = fleet.roads.filter((road) => road.shard === shard);
  const byHand = world.chance(0.4);
  const minority = roads.filter(() => byHand || world.chance(0.5));
  for (const road of minority) road.isStale = true;
  // Whoever is cut off with it may still see the majority, or not.
  const seeAgain = raised(
    minority.filter(() => !byHand && world.chance(0.5)),
    "blind",
  );
  const outvote = shard.beginSplit(world.one(heirs));
  const voteMs = byHand ? world.between(0, 500) : world.between(500, longestDoomedMs - 500);
  const vote = world.in(voteMs, outvote, shard.process);
  return () => {
    vote.cancel();
    if (!shard.outvoted) outvote();
    for (const road of minority) road.isStale = false;
    shard.endSplit();
    seeAgain();
  };
};

/** What befalls replicas, one or all of a shard's. */
const replicaFaults: Readonly<Record<string, Fault>> = {
  replicasCut: (scene) => raised(someReplicas(scene), "cut"),
  replicasBehind: (scene) => raised(someReplicas(scene), "behind"),
};

function someReplicas({ world, fleet }: Scene): Follower[] {
  const { followers } = world.one(fleet.shards);
  return world.chance(0.5) ? [...followers] : [world.one(followers)];
}

/** What goes wrong, and when, is the seed's; answers when the last of it will be over. */
export function planFaults(scene: Scene): number {
  const { world, journal, fleet } = scene;
  const { busyMs, failsOver } = fleet.setting;
  const kinds = Object.entries({ ...faults, ...(failsOver && { failover, failoverAgain: failover }) });
  const ofReplicas = Object.entries(replicaFaults);
  let overMs = 0;
  for (let left = world.among(1, failsOver ? 7 : 5); left > 0; left -= 1) {
    const [name, begin] = failsOver && world.chance(0.3) ? world.one(ofReplicas) : world.one(kinds);
    const atMs = world.between(500, busyMs);
    const longer = name in replicaFaults ? world.among(1, 3) : 1;
    const lastsMs = world.one([300, 1_500, 4_000, 9_000]) * world.between(0.5, 1.1) * longer;
    overMs = Math.max(overMs, atMs + lastsMs);
    world.in(
      atMs,
      () => {
        const over = journal.fault(name, calmAfterMs);
        const end = begin(scene);
        world.in(
          lastsMs,
          () => {
            end();
            over();
          },
          undefined,
        );
      },
      undefined,
    );
  }
  return overMs;
}
