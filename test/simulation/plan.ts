import type { EnqueueOptions } from "../../src/client/policy.js";
import { longestSilenceMs, validityMs } from "./follower.js";
import { longestDoomedMs, type Persistence } from "./shard.js";
import type { World } from "./world.js";

/** What a seed makes of the fleet. */
export interface Setting {
  readonly shards: number;
  readonly persistence: Persistence;
  /** Another server may take over, so much is to be distrusted for longer. */
  readonly failsOver: boolean;
  /** Of each shard. */
  readonly replicas: number;
  readonly trustAfterMs: number;
  /** So long after it was taken no replica that lacks a task is made the master. */
  readonly aloneAfterMs: number;
  /** How each producer enqueues. */
  readonly producers: readonly Required<Pick<EnqueueOptions, "accept" | "whenDown">>[];
  readonly workers: readonly { readonly concurrency: number }[];
  readonly tellsOfTasks: boolean;
  readonly maxSpooled: number;
  /** Calls are made for so long, ms. */
  readonly busyMs: number;
  /** A call every so many ms and producer, on average. */
  readonly everyMs: number;
}

const policies = [
  { accept: "redis", whenDown: "fail" },
  { accept: "redis", whenDown: "spool" },
  { accept: "spool", whenDown: "spool" },
] as const;

export function settingOf(world: World): Setting {
  const persistence = world.chance(0.2) ? "snapshot" : "aof";
  const failsOver = persistence === "aof" && world.chance(0.4);
  return {
    shards: world.chance(0.3) ? 2 : 1,
    persistence,
    failsOver,
    replicas: failsOver ? world.among(1, 2) : 0,
    aloneAfterMs: longestSilenceMs + validityMs + longestDoomedMs,
    // Twice as long as a master may be doomed, as the real one; and what a power cut may take, and a look that sees it.
    trustAfterMs: failsOver ? 2 * longestDoomedMs : 5_000,
    producers: [...policies.slice(1), ...(world.chance(0.5) ? [policies[0]] : [])],
    workers: Array.from({ length: 2 }, () => ({ concurrency: world.one([1, 3, 10, 40]) })),
    tellsOfTasks: world.chance(0.7),
    maxSpooled: world.chance(0.15) ? 12 : 10_000,
    busyMs: world.between(4_000, 9_000),
    everyMs: world.one([500, 1_000, 2_000]),
  };
}
