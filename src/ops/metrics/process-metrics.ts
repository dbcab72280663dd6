import type { Producing } from "../../broker/broker.js";
import type { Tallied } from "../../broker/outage.js";
import type { SpoolStats } from "../../broker/spool.js";
import { inTime } from "../../core/expiry.js";
import { counter, exposition, type Family, gauge } from "./exposition.js";

/** A spool whose disk hangs is left out after that. */
const spoolWithinMs = 1_000;

const states = ["closed", "degraded", "open", "halfOpen"] as const;
const ends = ["enqueued", "spooled", "notSent", "refused", "unknown", "turnedAway"] as const;

interface Health {
  readonly storage: readonly {
    readonly broker: string;
    readonly shard: string;
    readonly state: (typeof states)[number];
  }[];
  readonly waiting: number;
}

/**
 * What one process knows of its storage, as a text for Prometheus, to be served with the process's other metrics: a monitor
 * sees neither the breaker of a producer nor its spool. `client` is any of the broker's, for they share its breakers. Names
 * are public: they are only added.
 *
 * @example
 * response.setHeader("content-type", "text/plain; version=0.0.4").end(await processMetrics(broker, client));
 */
export async function processMetrics(
  broker: Pick<Producing, "label" | "clock" | "tally" | "spool">,
  client?: { health(): Health },
): Promise<string> {
  const { label, tally, spool, clock } = broker;
  const stats = await (spool && inTime(spool.stats(), spoolWithinMs, () => new Error("late")).catch(() => undefined));
  return exposition([
    ...(client === undefined ? [] : breakerFamilies(label, client.health())),
    ...(tally === undefined ? [] : tallyFamilies(label, tally)),
    ...(stats === undefined ? [] : spoolFamilies(label, stats, clock.nowMs())),
  ]);
}

function breakerFamilies(broker: string, { storage, waiting }: Health): Family[] {
  return [
    gauge(
      "holdfast_breaker_state",
      "1 for the state that the circuit breaker is in, by node of a Cluster.",
      storage.flatMap(({ shard, state }) =>
        states.map((one) => ({ labels: { broker, shard, state: one }, value: one === state ? 1 : 0 })),
      ),
    ),
    gauge("holdfast_client_waiting_tasks", "Tasks that wait for storage to come back, until their timeouts.", [
      { labels: { broker }, value: waiting },
    ]),
  ];
}

function tallyFamilies(broker: string, tally: Readonly<Tallied>): Family[] {
  const total = (name: string, help: string, value: number) => counter(name, help, [{ labels: { broker }, value }]);
  return [
    counter("holdfast_breaker_trips_total", "How often a circuit breaker opened, or became degraded.", [
      { labels: { broker, to: "open" }, value: tally.breakerOpened },
      { labels: { broker, to: "degraded" }, value: tally.breakerDegraded },
    ]),
    counter(
      "holdfast_enqueues_total",
      "Tasks that this process enqueued, by how that ended.",
      ends.map((end) => ({ labels: { broker, end }, value: tally[end] })),
    ),
    total(
      "holdfast_incarnation_changes_total",
      "How often storage was restarted or is another.",
      tally.incarnationChanges,
    ),
    total("holdfast_data_losses_total", "How often storage lost data.", tally.dataLosses),
    total("holdfast_leases_lost_total", "Outcomes that came too late.", tally.leaseLost),
    total("holdfast_spool_delivered_total", "Spooled tasks that storage has answered for.", tally.delivered),
    total("holdfast_spool_duplicates_total", "Of those, the duplicates.", tally.duplicates),
    total(
      "holdfast_spool_replayed_total",
      "Spooled tasks that are sent again, for storage may have lost them.",
      tally.replayed,
    ),
    total("holdfast_spool_parked_total", "Spooled tasks that storage could not take.", tally.parked),
  ];
}

function spoolFamilies(broker: string, stats: SpoolStats, nowMs: number): Family[] {
  const one = (name: string, help: string, value: number) => gauge(name, help, [{ labels: { broker }, value }]);
  const oldestMs = stats.oldestAtMs === undefined ? 0 : Math.max(0, nowMs - stats.oldestAtMs);
  return [
    one("holdfast_spool_tasks", "Tasks in the spool.", stats.tasks),
    one("holdfast_spool_tasks_max", "How many it takes.", stats.maxTasks),
    one("holdfast_spool_bytes", "Bytes in the spool.", stats.bytes),
    one("holdfast_spool_bytes_max", "How many it takes.", stats.maxBytes),
    one("holdfast_spool_oldest_age_seconds", "How long the oldest task has been in the spool.", oldestMs / 1_000),
    one("holdfast_spool_parked_tasks", "Tasks that lie in its file, out of the others' way.", stats.parked),
  ];
}
