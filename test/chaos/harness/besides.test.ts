import { expect, it } from "vitest";
import type { Event } from "../../history/events.js";
import { connectsPerSecond, fullSpoolIsTold, noPauseOver, nothingTwice, runsAgain } from "./besides.js";
import type { Holds } from "./row.js";

const span = { fromMs: 1_000, healedMs: 5_000, recoveryMs: 100, untilMs: 6_000 };
const start = (at: number, k: string, by = "w1", attempt = 1): Event => ({
  at,
  by,
  e: "start",
  k,
  id: k,
  run: `${by} ${k} ${at}`,
  attempt,
  hash: "",
});
const finish = (at: number, k: string, started: number): Event => ({
  at,
  by: "w1",
  e: "finish",
  k,
  run: `w1 ${k} ${started}`,
  how: "done",
});
const invoke = (at: number, k: string, queue = "default"): Event => ({
  at,
  by: "p1",
  e: "invoke",
  k,
  queue,
  hash: "",
  maxRetry: 3,
  withinMs: 3_000,
});
const rejected = (at: number, code: string): Event => ({ at, by: "p1", e: "rejected", k: "a", code });
const connects = (count: number): Event => ({
  at: 4_000,
  by: "supervisor",
  e: "connects",
  count,
  inPlaceOf: 10,
  withinMs: 2_000,
});
const killed: Event = { at: 2_000, by: "supervisor", e: "process", name: "w1", what: "killed" };
const steady = [1_100, 2_000, 3_000, 4_000, 4_900].map((at) => start(at, `s${at}`));
const called = steady.map((_, n) => invoke(900, `s${[1_100, 2_000, 3_000, 4_000, 4_900][n]}`));

it.each<[string, Holds, readonly Event[], readonly Event[]]>([
  ["a full spool is told", fullSpoolIsTold, [rejected(2_000, "SPOOL_FULL")], [rejected(900, "SPOOL_FULL")]],
  ["with that code", fullSpoolIsTold, [rejected(2_000, "SPOOL_FULL")], [rejected(2_000, "BROKER_UNAVAILABLE")]],
  ["few connections are opened", connectsPerSecond(5), [connects(99)], [connects(100)]],
  ["and they are counted", connectsPerSecond(5), [connects(0)], []],
  [
    "nothing runs twice",
    nothingTwice,
    [start(900, "a"), start(2_000, "a", "w1", 2)],
    [start(900, "a"), start(2_000, "a")],
  ],
  [
    "in time",
    runsAgain(1_000, 1),
    [start(1_500, "a"), killed, start(3_000, "a", "w2")],
    [start(1_500, "a"), killed, start(3_001, "a", "w2")],
  ],
  ["at all", runsAgain(1_000, 1), [start(1_500, "a"), finish(1_600, "a", 1_500), killed], [start(1_500, "a"), killed]],
  [
    "no more than were under way",
    runsAgain(1_000, 1),
    [start(1_500, "a"), killed, start(2_500, "a", "w2")],
    [start(1_500, "a"), start(1_500, "b"), killed, start(2_500, "a", "w2"), start(2_500, "b", "w2")],
  ],
  ["tasks go on", noPauseOver(1_100), [...called, ...steady], [...called, ...steady.filter(({ at }) => at !== 3_000)]],
  [
    "those of that queue",
    noPauseOver(1_100),
    [...called, ...steady],
    [...called.slice(1), invoke(900, "s1100", "ordered"), ...steady.filter(({ at }) => at !== 2_000)],
  ],
])("what a row asks for besides is judged: %s", (_, holds, right, wrong) => {
  expect(holds(right, span)).toEqual([]);
  expect(holds(wrong, span)).toHaveLength(1);
});
