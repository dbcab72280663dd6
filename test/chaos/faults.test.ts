import { afterAll, beforeAll, expect, it } from "vitest";
import { check } from "../history/check.js";
import { describeRedis } from "../support/redis-server.js";
import { type Episode, runEpisode } from "./harness/episode.js";
import { rows } from "./harness/rows/all.js";
import { stageOf } from "./harness/stages.js";

/** Those that fit into a minute; the others by `npm run chaos`. */
const chosen = [2, 15, 25, 10, 44, 27];
const longestHoldMs = 3_000;
const seed = Number(process.env["CHAOS_SEED"] ?? 20_261_122);

describeRedis("producers and workers while faults come and go", () => {
  let episode: Episode;

  beforeAll(async () => {
    const some = chosen.map((number) => rows.find(({ row }) => row === number)!);
    const short = some.map((row) => ({ ...row, holdMs: Math.min(row.holdMs, longestHoldMs) }));
    episode = await runEpisode({ stage: (folder) => stageOf({}, folder), rows: short, seed });
  }, 180_000);
  afterAll(() => {
    const { counts, duplicates } = episode.verdict;
    // oxlint-disable-next-line no-console -- a figure for whoever reads the report
    console.info(`seed ${seed}:`, counts, duplicates);
  });

  it("lose nothing, run nothing twice without a cause, and leave nothing behind", () => {
    const { violations, counts } = episode.verdict;

    expect(violations.map(({ invariant, what }) => `${invariant}: ${what}`)).toEqual([]);
    expect(counts.accepted).toBeGreaterThan(500);
    expect(counts.done).toBeGreaterThan(500);
  });

  it("the checker sees it when tasks are taken out of what really happened", () => {
    const { events, final } = episode.history;
    const taken = new Set(events.flatMap((event) => (event.e === "accepted" ? [event.k] : [])).slice(100, 110));
    const without = events.filter(
      (event) => !("k" in event && event.e !== "invoke" && event.e !== "accepted" && taken.has(event.k ?? "")),
    );
    const queues = final.queues.map((queue) => ({ ...queue, tasks: queue.tasks.filter(({ k }) => !taken.has(k)) }));

    const { counts, violations } = check({ events: without, final: { ...final, queues } });

    expect(counts.lost).toBe(10);
    expect(violations.filter(({ invariant }) => invariant === "lost")).toHaveLength(10);
  });
});
