import ansis from "ansis";
import { describe, expect, it } from "vitest";
import type { QueueStats } from "./look.js";
import { statsLines } from "./view.js";

const counts = { pending: 0, active: 0, scheduled: 0, retry: 0, archived: 0, completed: 0, aggregating: 0 };
const queue = (name: string, pending: number): QueueStats => ({
  queue: { name, paused: name === "q3", counts: { ...counts, pending }, processed: 9, failed: 1, latencyMs: 0 },
  today: { processed: 2, failed: 1 },
});
const nodes = [{ label: "redis://h", fields: { redis_version: "7.0.15", used_memory: "1048576", maxmemory: "0" } }];
const stats = (queues: readonly QueueStats[]) => ({
  atMs: 0,
  label: "redis://h",
  storage: { kind: "redis" as const, nodes },
  queues,
  unavailable: [],
});
const plain = (lines: readonly string[]) => lines.map((line) => ansis.strip(line));
const first = (lines: readonly string[]) => plain(lines).map((line) => line.split(/ {2,}/)[0]);

describe("all queues at once", () => {
  it("are told by name, with storage before and all of them after", () => {
    const lines = plain(statsLines(stats([queue("a", 1), queue("q3", 5)])));

    expect(lines[0]).toBe("redis://h  Redis 7.0.15, 1.0 MiB used");
    expect(first(lines).slice(1)).toEqual(["", "QUEUE", "a", "q3 (paused)", "all"]);
    expect(lines.at(-1)).toMatch(/^all +6 +0 .* 4 +2$/);
  });

  it("need no sum when there is one", () => {
    expect(first(statsLines(stats([queue("a", 1)]))).slice(2)).toEqual(["QUEUE", "a"]);
  });

  it("are those with most to do where there is no room for each, and the sum is of all", () => {
    const queues = Array.from({ length: 30 }, (_, n) => queue(`q${n}`, n));
    const lines = statsLines(stats(queues), 10);

    expect(lines).toHaveLength(10);
    expect(first(lines).slice(3, 8)).toEqual(["q29", "q28", "q27", "q26", "q25"]);
    expect(plain(lines)[8]).toBe("… and 25 more, with less to do: holdfast queue ls");
    expect(plain(lines)[9]).toMatch(/^all +435 /);
  });
});
