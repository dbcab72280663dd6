import type { OutcomeCount } from "../../broker/outcome-counts.js";
import { taskStates } from "../../core/state.js";
import type { Facts, QueueFacts } from "../facts.js";
import type { Trail } from "../trail.js";
import type { Family, Sample } from "./exposition.js";

/** Labels are bounded: the queues with most to do, the types with most attempts, the latest groups. */
const maxQueues = 1_000;
const maxTypes = 100;
const maxGroupSamples = 50;
const otherType = "other";

const gauge = (name: string, help: string, samples: readonly Sample[]): Family => ({
  name,
  type: "gauge",
  help,
  samples,
});
const counter = (name: string, help: string, samples: readonly Sample[]): Family => ({
  name,
  type: "counter",
  help,
  samples,
});

/** What storage tells, as metrics. Names are public: they are only added. */
export function families(facts: Facts, trail: Trail): Family[] {
  const shown = mostToDo(facts.queues);
  return [
    ...queueFamilies(shown, facts.atMs),
    ...deadLetterFamilies(shown, facts, trail),
    ...typeFamilies(facts.types),
  ];
}

function mostToDo(queues: readonly QueueFacts[]): readonly QueueFacts[] {
  if (queues.length <= maxQueues) return queues;
  const size = ({ info: { counts } }: QueueFacts) => counts.archived + counts.pending + counts.retry;
  return queues.toSorted((a, b) => size(b) - size(a)).slice(0, maxQueues);
}

type PerQueue = (queue: QueueFacts) => readonly (readonly [Readonly<Record<string, string>>, number | undefined])[];

function queueFamilies(queues: readonly QueueFacts[], nowMs: number): Family[] {
  const samples = (of: PerQueue): Sample[] =>
    queues.flatMap((queue) =>
      of(queue).flatMap(([labels, value]) =>
        value === undefined ? [] : [{ labels: { queue: queue.info.name, ...labels }, value }],
      ),
    );
  const ago = (atMs: number | undefined) => (atMs === undefined ? undefined : Math.max(0, nowMs - atMs) / 1_000);
  return [
    gauge(
      "holdfast_queue_tasks",
      "Tasks of a queue by state; archived are its dead letters.",
      samples(({ info }) => taskStates.map((state) => [{ state }, info.counts[state]])),
    ),
    gauge(
      "holdfast_queue_oldest_age_seconds",
      "How long the next task to run has waited (pending), and the oldest dead letter (archived); 0 where there is none.",
      samples(({ info }) => [
        [{ state: "pending" }, info.latencyMs / 1_000],
        [{ state: "archived" }, info.counts.archived === 0 ? 0 : ago(info.earliestAtMs?.archived)],
      ]),
    ),
    gauge(
      "holdfast_queue_overdue_seconds",
      "How long ago the first of what is scheduled or in retry was due, or a lease ran out; 0 where none is.",
      samples(({ info }) => [
        [{ set: "scheduled" }, ago(info.earliestAtMs?.scheduled) ?? 0],
        [{ set: "retry" }, ago(info.earliestAtMs?.retry) ?? 0],
        [{ set: "lease" }, info.counts.active === 0 ? 0 : (ago(info.earliestAtMs?.active) ?? 0)],
      ]),
    ),
    gauge(
      "holdfast_queue_paused",
      "1 while the queue is paused.",
      samples(({ info }) => [[{}, info.paused ? 1 : 0]]),
    ),
    gauge(
      "holdfast_queue_paused_seconds",
      "How long the queue has been paused; 0 while it is not.",
      samples(({ info }) => [[{}, info.paused ? ago(info.pause?.atMs) : 0]]),
    ),
    gauge(
      "holdfast_queue_memory_bytes",
      "Estimated bytes that the queue takes in storage, looked at once a minute.",
      samples(({ memoryBytes }) => [[{}, memoryBytes]]),
    ),
    gauge(
      "holdfast_queue_consumers",
      "Workers that serve the queue, of other programs too.",
      samples(({ consumers }) => [[{}, consumers]]),
    ),
    counter(
      "holdfast_queue_processed_total",
      "Attempts that ended, failures included, as asynq counts them.",
      samples(({ info }) => [[{}, info.processed]]),
    ),
    counter(
      "holdfast_queue_failed_total",
      "Attempts that failed, as asynq counts them.",
      samples(({ info }) => [[{}, info.failed]]),
    ),
  ];
}

function deadLetterFamilies(queues: readonly QueueFacts[], { groups = [] }: Facts, trail: Trail): Family[] {
  const statuses = ["open", "acknowledged", "snoozed", "resolved", "regressed"] as const;
  return [
    gauge(
      "holdfast_dlq_headroom_tasks",
      "Dead letters that the queue has room for before its policy acts.",
      queues.flatMap(({ info, headroom }) =>
        headroom === undefined ? [] : [{ labels: { queue: info.name }, value: headroom }],
      ),
    ),
    counter(
      "holdfast_dlq_arrived_total",
      "Dead letters that have come since this monitor runs.",
      queues.map(({ info: { name } }) => ({ labels: { queue: name }, value: trail.arrived(name) })),
    ),
    counter(
      "holdfast_dlq_evicted_total",
      "Dead letters that left storage by a policy or spilled by hand, by cause; size: there was no room, and nobody has them.",
      queues.flatMap(({ info, evicted }) =>
        Object.entries(evicted).map(([cause, value]) => ({ labels: { queue: info.name, cause }, value })),
      ),
    ),
    gauge(
      "holdfast_dlq_groups",
      "Failure groups by status.",
      groups.length === 0
        ? []
        : statuses.map((status) => ({
            labels: { status },
            value: groups.filter((one) => one.status === status).length,
          })),
    ),
    gauge(
      "holdfast_dlq_group_tasks",
      "Dead letters of the latest failure groups.",
      groups.slice(0, maxGroupSamples).map(({ fingerprint, type, status, count }) => ({
        labels: { fingerprint, type, status },
        value: count,
      })),
    ),
    gauge(
      "holdfast_dlq_group_first_seen_timestamp_seconds",
      "When the first dead letter of a failure group came.",
      groups.slice(0, maxGroupSamples).map(({ fingerprint, type, firstSeenMs }) => ({
        labels: { fingerprint, type },
        value: firstSeenMs / 1_000,
      })),
    ),
  ];
}

function typeFamilies(types: readonly OutcomeCount[] = []): Family[] {
  const sums = new Map<string, number>();
  for (const { type, count } of types) sums.set(type, (sums.get(type) ?? 0) + count);
  const kept = new Set(
    [...sums]
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, maxTypes)
      .map(([type]) => type),
  );
  const samples = (
    wanted: readonly OutcomeCount[],
    labelsOf: (one: OutcomeCount) => Record<string, string>,
  ): Sample[] => {
    const added = new Map<string, Sample>();
    for (const one of wanted) {
      const labels = { queue: one.queue, type: kept.has(one.type) ? one.type : otherType, ...labelsOf(one) };
      const key = JSON.stringify(labels);
      added.set(key, { labels, value: (added.get(key)?.value ?? 0) + one.count });
    }
    return [...added.values()];
  };
  return [
    counter(
      "holdfast_tasks_processed_total",
      "What became of attempts, by type, as far as Holdfast's workers ran them.",
      samples(types, ({ outcome }) => ({ outcome })),
    ),
    counter(
      "holdfast_tasks_dead_total",
      "Attempts that made a dead letter, by type and reason, as far as Holdfast's workers ran them.",
      samples(
        types.filter(({ outcome }) => outcome === "archived"),
        ({ reason }) => ({ reason }),
      ),
    ),
  ];
}
