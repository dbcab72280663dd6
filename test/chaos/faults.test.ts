import { afterAll, beforeAll, expect, it } from "vitest";
import { check } from "../history/check.js";
import { describeRedis } from "../support/redis-server.js";
import { type Episode, runEpisode } from "./harness/episode.js";
import { judgement, reportOf, type RowReport } from "./harness/report.js";
import { rows } from "./harness/rows/all.js";
import { stageOf } from "./harness/stages.js";

const rowOf = (number: number) => rows.find(({ row }) => row === number)!;
/** Those that fit into a minute; the others by `npm run chaos`. */
const chosen = [2, 15, 25, 10, 44, 27].map(rowOf);
const longestHoldMs = 3_000;
const seed = Number(process.env["CHAOS_SEED"] ?? 20_261_122);

describeRedis("producers and workers while faults come and go", () => {
  let episode: Episode;

  beforeAll(async () => {
    const short = chosen.map((row) => ({ ...row, holdMs: Math.min(row.holdMs, longestHoldMs) }));
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

describeRedis("a Redis whose file lacks the last bytes when it is started again", () => {
  const row = rowOf(6);
  let alone: RowReport;
  let spooled: RowReport;

  beforeAll(async () => {
    const stage = (folder: string) => stageOf(row, folder);
    const run = (spool?: object) => runEpisode({ stage, rows: [row], seed, spool, perSecond: 30 });
    // What is cut off was written a moment before.
    const episodes = await Promise.all([run(), run({ trustAfter: "3s" })]);
    [alone, spooled] = [reportOf(row, false, [episodes[0]]), reportOf(row, true, [episodes[1]])];
  }, 120_000);

  it("has lost what it had acknowledged: the checker finds it, and the report says that it is known for that", () => {
    expect(alone.lost).toBeGreaterThan(0);
    expect(judgement(alone)).toBe("known: the last writes are gone");
  });

  it("gets it from the spool where there is one, and nothing is lost", () => {
    expect(spooled.tasks).toBeGreaterThan(50);
    expect(spooled.violations).toEqual([]);
    expect(judgement(spooled)).toBe("ok");
  });
});
