import { expect, it } from "vitest";
import { newTally } from "../../broker/outage.js";
import type { Spool, SpoolStats } from "../../broker/spool.js";
import { DisciplinedClock } from "../../core/clock.js";
import { processMetrics } from "./process-metrics.js";

const clock = Object.assign(new DisciplinedClock(), { nowMs: () => 1_800_000_010_000 });
const label = 'redis://"a"';

function brokerWith(stats: () => Promise<SpoolStats>) {
  const tally = { ...newTally(), breakerOpened: 2, spooled: 7, replayed: 3 };
  return { label, clock, tally, spool: { stats } as unknown as Spool };
}

const stats = { tasks: 5, bytes: 600, oldestAtMs: 1_800_000_000_000, parked: 1, maxBytes: 1_000, maxTasks: 100 };

it("tells what a process knows of its breaker, its spool and its storage", async () => {
  const storage = [{ broker: label, shard: "a:1", state: "open" as const }];
  const client = { health: () => ({ storage, waiting: 4 }) };

  const lines = (
    await processMetrics(
      brokerWith(async () => stats),
      client,
    )
  ).split("\n");

  const broker = String.raw`broker="redis://\"a\""`;
  expect(lines).toEqual(
    expect.arrayContaining([
      `holdfast_breaker_state{${broker},shard="a:1",state="open"} 1`,
      `holdfast_breaker_state{${broker},shard="a:1",state="closed"} 0`,
      `holdfast_client_waiting_tasks{${broker}} 4`,
      `holdfast_breaker_trips_total{${broker},to="open"} 2`,
      `holdfast_enqueues_total{${broker},end="spooled"} 7`,
      `holdfast_spool_replayed_total{${broker}} 3`,
      `holdfast_spool_tasks{${broker}} 5`,
      `holdfast_spool_oldest_age_seconds{${broker}} 10`,
    ]),
  );
});

it("leaves out what there is not, and a spool that fails", async () => {
  const text = await processMetrics(brokerWith(() => Promise.reject(new Error("its disk"))));

  expect(text).toContain("holdfast_spool_delivered_total");
  expect(text).not.toContain("holdfast_spool_tasks");
  expect(text).not.toContain("holdfast_breaker_state");
  expect(await processMetrics({ label, clock })).toBe("");
});
