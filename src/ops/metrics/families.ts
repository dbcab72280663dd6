import type { OutcomeCount } from "../../broker/outcome-counts.js";
import { evictionCauses } from "../../broker/eviction.js";
import { taskStates } from "../../core/state.js";
import type { Facts, GroupFacts } from "../facts.js";
import type { Trail } from "../trail.js";
import { counter, type Family, gauge, type Sample } from "./exposition.js";
import { FoldedCounters, other } from "./folded.js";
import { type QueueRow, queueRows } from "./queue-rows.js";
import { typeRows } from "./type-rows.js";

/** The latest groups alone are told apart. */
const maxGroupSamples = 50;

/** How many names are told apart in labels. */
export interface LabelBounds {
  readonly metricQueues: number;
  readonly metricTypes: number;
}

/** What storage tells, as metrics, look by look. Names are public: they are only added. */
export class StorageMetrics {
  readonly #bounds: LabelBounds;
  readonly #trail: Trail;
  readonly #ofQueues = new FoldedCounters();
  readonly #ofTypes = new FoldedCounters();
  #last: { readonly facts: Facts; readonly families: readonly Family[] } | undefined;

  constructor(bounds: LabelBounds, trail: Trail) {
    this.#bounds = bounds;
    this.#trail = trail;
  }

  /** Of one look once, however often it is asked for. */
  families(facts: Facts): readonly Family[] {
    if (this.#last?.facts !== facts) this.#last = { facts, families: this.#anew(facts) };
    return this.#last.families;
  }

  #anew(facts: Facts): Family[] {
    // A scrape may have made the look, before alerts have seen it.
    this.#trail.add(facts);
    const { metricQueues, metricTypes } = this.#bounds;
    const queues = queueRows(facts, this.#trail, metricQueues, this.#ofQueues);
    const types = typeRows(facts.types ?? [], queues.apart, metricTypes, this.#ofTypes);
    this.#ofQueues.end();
    this.#ofTypes.end();
    return [
      ...queueFamilies(queues.rows),
      ...deadLetterFamilies(queues.rows, facts.groups),
      ...typeFamilies(types.rows),
      gauge("holdfast_queues_folded", "Queues that are told together, as the queue other; they have least to do.", [
        { labels: { queue: other }, value: queues.folded },
      ]),
      gauge("holdfast_types_folded", "Types that are told together, as the type other; they have fewest attempts.", [
        { labels: { type: other }, value: types.folded },
      ]),
      counter(
        "holdfast_redis_evicted_keys_total",
        "Keys that a Redis server has deleted for want of memory since this monitor runs, tasks perhaps among them.",
        facts.servers.map(({ node }) => ({ labels: { node }, value: this.#trail.evicted(node) })),
      ),
    ];
  }
}

type PerQueue = (row: QueueRow) => readonly (readonly [Readonly<Record<string, string>>, number | undefined])[];

function samplesOf(rows: readonly QueueRow[], of: PerQueue): Sample[] {
  return rows.flatMap((row) =>
    of(row).flatMap(([labels, value]) =>
      value === undefined ? [] : [{ labels: { queue: row.queue, ...labels }, value }],
    ),
  );
}

function queueFamilies(rows: readonly QueueRow[]): Family[] {
  const samples = (of: PerQueue) => samplesOf(rows, of);
  return [
    gauge(
      "holdfast_queue_tasks",
      "Tasks of a queue by state; archived are its dead letters.",
      samples(({ counts }) => taskStates.map((state) => [{ state }, counts[state]])),
    ),
    gauge(
      "holdfast_queue_oldest_age_seconds",
      "How long the next task to run has waited (pending), and the oldest dead letter that nobody has acknowledged (archived); 0 where there is none.",
      samples(({ pendingS, archivedS }) => [
        [{ state: "pending" }, pendingS],
        [{ state: "archived" }, archivedS],
      ]),
    ),
    gauge(
      "holdfast_queue_overdue_seconds",
      "How long ago the first of what is scheduled or in retry was due, or a lease ran out; 0 where none is.",
      samples(({ overdueS }) => Object.entries(overdueS).map(([set, seconds]) => [{ set }, seconds])),
    ),
    gauge(
      "holdfast_queue_paused",
      "1 while the queue is paused.",
      samples(({ paused }) => [[{}, paused === undefined ? undefined : Number(paused)]]),
    ),
    gauge(
      "holdfast_queue_paused_seconds",
      "How long the queue has been paused; 0 while it is not.",
      samples(({ pausedS }) => [[{}, pausedS]]),
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
      samples(({ processed }) => [[{}, processed]]),
    ),
    counter(
      "holdfast_queue_failed_total",
      "Attempts that failed, as asynq counts them.",
      samples(({ failed }) => [[{}, failed]]),
    ),
  ];
}

function deadLetterFamilies(rows: readonly QueueRow[], groups: readonly GroupFacts[] = []): Family[] {
  const statuses = ["open", "acknowledged", "snoozed", "resolved", "regressed"] as const;
  const samples = (of: PerQueue) => samplesOf(rows, of);
  return [
    gauge(
      "holdfast_dlq_unacknowledged_tasks",
      "Dead letters from the oldest on that nobody has acknowledged; 0 where all are.",
      samples(({ unacknowledged }) => [[{}, unacknowledged]]),
    ),
    gauge(
      "holdfast_dlq_headroom_tasks",
      "Dead letters that the queue has room for before its policy acts.",
      samples(({ headroom }) => [[{}, headroom]]),
    ),
    counter(
      "holdfast_dlq_arrived_total",
      "Dead letters that have come since this monitor runs.",
      samples(({ arrived }) => [[{}, arrived]]),
    ),
    counter(
      "holdfast_dlq_evicted_total",
      "Dead letters that left storage by a policy or spilled by hand, by cause; size: there was no room, and nobody has them.",
      samples(({ evicted }) => evictionCauses.map((cause) => [{ cause }, evicted[cause]])),
    ),
    gauge(
      "holdfast_dlq_groups",
      "Failure groups by status, of the 200 that come first in a list.",
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

function typeFamilies(types: readonly OutcomeCount[]): Family[] {
  const samples = (
    wanted: readonly OutcomeCount[],
    labelsOf: (one: OutcomeCount) => Record<string, string>,
  ): Sample[] => {
    const added = new Map<string, Sample>();
    for (const one of wanted) {
      const labels = { queue: one.queue, type: one.type, ...labelsOf(one) };
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
