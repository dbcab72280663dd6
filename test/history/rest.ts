import type { Event, FinalState, QueueState } from "./events.js";
import { endOf, type Lives } from "./lives.js";
import { type Found, type Violation, violation } from "./verdict.js";

/** Every id in one place, its hash agrees, and what is held is held by somebody. */
export function judgePlaces({ queues }: FinalState): Found {
  return queues.flatMap((queue) => {
    const { name, places, tasks } = queue;
    const found: Violation[] = [];
    const say = (what: string) => found.push(violation("places", `${name}: ${what}`));
    const at = new Map<string, string>();
    for (const [place, ids] of Object.entries(places))
      for (const id of ids) {
        if (at.has(id)) say(`${id} is in ${at.get(id)} and in ${place}`);
        at.set(id, place);
      }
    for (const { id, state } of tasks) {
      const place = at.get(id);
      if (place === undefined) say(`${id} (${state}) is in no list`);
      else if (place !== state && place !== "broken") say(`${id} is in ${place} and calls itself ${state}`);
    }
    const hashes = new Set(tasks.map(({ id }) => id));
    for (const [id, place] of at) if (!hashes.has(id) && place !== "broken") say(`${id} is in ${place} and is no task`);
    const [active, leases] = [new Set(places["active"]), new Set(queue.leases)];
    for (const id of active) if (!leases.has(id)) say(`${id} is active without a lease`);
    for (const id of leases) if (!active.has(id)) say(`${id} has a lease and is not active`);
    for (const id of queue.holders) if (!leases.has(id)) say(`${id} has a holder and no lease`);
    return found;
  });
}

/** What storage counted is what workers were told, but for what nobody was told for certain. */
export function judgeCounters(lives: Lives, { queues }: FinalState): Found {
  if (lives.incarnations.length > 0) return [];
  const told = new Map(queues.map(({ name }) => [name, { processed: 0, failed: 0, maybe: 0, maybeFailed: 0 }]));
  for (const { invoke, runs } of lives.lives.values()) {
    const counts = told.get(invoke?.queue ?? "");
    for (const { settled, finish } of counts === undefined ? [] : runs) {
      const fails = finish?.how !== "done";
      if (settled?.receipt === "settled" && settled.outcome !== "released") {
        counts!.processed += 1;
        if (fails) counts!.failed += 1;
      } else if (finish !== undefined) {
        counts!.maybe += 1;
        if (fails) counts!.maybeFailed += 1;
      }
    }
  }
  return queues.flatMap((queue) => {
    const counts = told.get(queue.name)!;
    // Tasks that a crash archived count as failures, and no worker settles them.
    const crashed = queue.tasks.filter(({ reason }) => reason === "quarantined" || reason === "lease_expired").length;
    const within = (value: number, least: number, more: number) => value >= least && value <= least + more + crashed;
    const found: Violation[] = [];
    if (!within(queue.processed, counts.processed, counts.maybe))
      found.push(violation("counters", `${queue.name} counts ${queue.processed} processed`, counts));
    if (!within(queue.failed, counts.failed, counts.maybeFailed))
      found.push(violation("counters", `${queue.name} counts ${queue.failed} failed`, counts));
    return found;
  });
}

/** Tries over what retries and crashes (three quarantine a task) can explain. */
const manyRuns = 20;

export function judgeRest({ quiet, queues }: FinalState): Found {
  const waiting = (queue: QueueState) =>
    ["pending", "active", "scheduled", "retry"].map((place) => `${queue.places[place]?.length ?? 0} ${place}`);
  return quiet ? [] : [violation("endless", "it never came to rest", queues.map(waiting))];
}

/** Everything comes to an end. */
export function judgeEnds(lives: Lives): Found {
  return [...lives.lives.values()].flatMap(({ k, invoke, runs }) => [
    ...(runs.length > (invoke?.maxRetry ?? 0) + manyRuns
      ? [violation("endless", `${k} ran ${runs.length} times`)]
      : []),
    ...runs
      .filter((run) => endOf(run, lives) === Infinity && !lives.stops.has(run.by))
      .map((run) => violation("endless", `${k} began and never ended`, run)),
  ]);
}

const mostGrowth = 64 * 2 ** 20;

/** Of what is in use of each process, from its first reading on. */
export function judgeMemory(events: readonly Event[]): Found {
  const first = new Map<string, number>();
  const tooMuch = new Map<string, number>();
  for (const event of events) {
    if (event.e !== "memory" || event.kept === undefined) continue;
    const growth = event.kept - (first.get(event.by) ?? event.kept);
    if (!first.has(event.by)) first.set(event.by, event.kept);
    if (growth > mostGrowth) tooMuch.set(event.by, Math.max(growth, tooMuch.get(event.by) ?? 0));
  }
  return [...tooMuch].map(([by, growth]) => violation("memory", `${by} grew by ${Math.round(growth / 2 ** 20)} MB`));
}

/** A breaker closes at most once in this time, less what clocks and journals may be off. */
const closesEveryMs = 4_900;

/** A breaker that opens and closes in turns sends tasks into what it knows to be broken. */
export function judgeFlaps(events: readonly Event[]): Found {
  const closed = new Map<string, number>();
  const found: Violation[] = [];
  for (const event of events) {
    if (event.e !== "breaker" || event.state !== "closed") continue;
    const name = `${event.by} ${event.shard}`;
    const before = closed.get(name);
    closed.set(name, event.at);
    if (before !== undefined && event.at - before < closesEveryMs)
      found.push(violation("flaps", `${name} closed twice in ${Math.round(event.at - before)} ms`, event));
  }
  return found;
}
