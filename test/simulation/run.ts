import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { BrokerEvent, TaskEvent } from "../../src/core/telemetry.js";
import { check } from "../history/check.js";
import type { FinalState, History, QueueState, StoredTask } from "../history/events.js";
import type { Verdict } from "../history/verdict.js";
import { keyOf } from "./data.js";
import { planFaults } from "./faults.js";
import { Fleet } from "./fleet.js";
import { Journal } from "./journal.js";
import { judge, type Violation } from "./judge.js";
import { settingOf } from "./plan.js";
import { inVirtualTime } from "./virtual-time.js";
import { World } from "./world.js";

export interface Run {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly counts: Verdict["counts"];
  readonly trace: () => readonly string[];
  /** How many things happened. */
  readonly happened: number;
  /** How long it took in the simulated world, ms. */
  readonly lastedMs: number;
}

/** By then all that waits has come to rest, whatever was wrong before. */
const restMs = 60_000;
const stopMs = 30_000;
/** So long after the last fault may have begun there are still calls, ms. */
const afterwardsMs = 1_500;
const queues = ["alpha", "beta", "ordered"];

/** A fleet at work while things go wrong; then all is well again, and it comes to rest. The same for the same seed. */
export async function simulate(seed: number): Promise<Run> {
  const world = new World(seed);
  return inVirtualTime(world, async () => {
    const journal = new Journal(world);
    const setting = settingOf(world);
    world.say(setting);
    const fleet = new Fleet(world, journal, setting);
    const listen = listener(journal, fleet);
    listen.on();
    try {
      enqueueNow(world, fleet);
      const overMs = planFaults({ world, journal, fleet });
      await world.until(() => false, Math.max(overMs, setting.busyMs + afterwardsMs) + 100);
      world.say("from here on all is well");
      const quiet = await world.until(() => isQuiet(fleet), world.nowMs + restMs);
      world.say(quiet ? "quiet" : "it does not come to rest");
      const stopped = await stop(world, journal, fleet);
      const history = { events: journal.events, final: finalOf(world, fleet, quiet) };
      return judged(world, fleet, history, stopped);
    } finally {
      listen.off();
    }
  });
}

function listener(journal: Journal, fleet: Fleet) {
  const onTask = (message: unknown) => {
    const event = message as TaskEvent;
    if (event.event !== "settled") return;
    const { id, outcome, receipt } = event;
    if (fleet.confirms(id, receipt)) journal.say({ e: "settled", id, outcome, receipt });
  };
  const onBroker = (message: unknown) => {
    const event = message as BrokerEvent;
    if (event.event === "leaseLost") journal.say({ e: "leaseLost", id: event.id });
    if (event.event === "breaker") fleet.heard(event.broker, event.shard, event.state);
  };
  return {
    on() {
      subscribe("holdfast.task", onTask);
      subscribe("holdfast.broker", onBroker);
    },
    off() {
      unsubscribe("holdfast.task", onTask);
      unsubscribe("holdfast.broker", onBroker);
    },
  };
}

/** Producers go on a little after the last fault may have begun, each at moments of its own. */
function enqueueNow(world: World, fleet: Fleet): void {
  const { busyMs, everyMs, producers } = fleet.setting;
  for (const n of producers.keys()) {
    const next = () => {
      if (world.nowMs > busyMs + afterwardsMs) return;
      const producer = fleet.producers[n]!;
      const { process } = producer;
      world.in(0, () => producer.turn(), process);
      world.in(world.between(0, 2 * everyMs), next, undefined);
    };
    world.in(world.between(0, everyMs), next, undefined);
  }
}

function isQuiet(fleet: Fleet): boolean {
  const waits = fleet.shards.some(({ current }) =>
    queues.some((queue) => {
      const { pending, active, scheduled, retry } = current.data.model.counts(queue);
      return pending ?? active ?? scheduled ?? retry ?? false;
    }),
  );
  return (
    !waits &&
    fleet.disk.tasks.length === 0 &&
    fleet.producers.every(({ underWay }) => underWay === 0) &&
    fleet.consumers.every(({ worker }) => worker.health().unsettled === 0) &&
    [...fleet.breakers.values()].every(({ process, state }) => process.state === "dead" || state === "closed")
  );
}

/** Everybody ends; answers who does not. */
async function stop(world: World, journal: Journal, fleet: Fleet): Promise<readonly string[]> {
  const left = new Set<string>();
  const end = (name: string, work: () => Promise<unknown>) => {
    left.add(name);
    void work().then(() => left.delete(name));
  };
  for (const { process, worker } of fleet.consumers) {
    journal.say({ e: "process", name: process.name, what: "stopping" }, "supervisor");
    world.in(0, () => end(process.name, () => worker.stop()), process);
  }
  for (const { process, spool } of fleet.producers) world.in(0, () => end(process.name, () => spool.close()), process);
  await world.until(() => false, world.nowMs + 10);
  await world.until(() => left.size === 0, world.nowMs + stopMs);
  return [...left];
}

function finalOf(world: World, fleet: Fleet, quiet: boolean): FinalState {
  const parked = [...fleet.disk.parked, ...fleet.disk.tasks];
  return {
    quiet,
    queues: queues.map((name) => queueState(world, fleet, name)),
    spooled: parked.map(({ message }) => message.headers["k"]!),
  };
}

function queueState(world: World, fleet: Fleet, name: string): QueueState {
  const { data } = fleet.shards[name.charCodeAt(0) % fleet.shards.length]!.current;
  const here = [...data.model.tasks.values()].filter(({ queue }) => queue === name);
  const places: Record<string, string[]> = {};
  for (const { id, state } of here) if (state !== "pending") (places[state] ??= []).push(id);
  places["pending"] = [...data.model.line(name)];
  const leased = here.filter(({ token }) => token !== "").map(({ id }) => id);
  const tasks = here.map((task): StoredTask => {
    const message = data.messageOf(task);
    const reason = data.reasons.get(keyOf(task));
    return {
      id: task.id,
      state: task.state,
      k: message.headers["k"]!,
      hash: Buffer.from(message.payload).toString(),
      retried: task.retried,
      maxRetry: message.maxRetry,
      ...(reason !== undefined && { reason }),
    };
  });
  const locks = [...data.locks(world.wallMs)].filter(([key]) => key.includes(`{${name}}`));
  const totals = data.model.totals.get(name) ?? { processed: 0, failed: 0 };
  return { name, places, leases: leased, holders: leased, tasks, locks: Object.fromEntries(locks), ...totals };
}

function judged(world: World, fleet: Fleet, history: History, stopped: readonly string[]): Run {
  const { violations, counts } = check(history);
  return {
    seed: world.seed,
    violations: judge(world, fleet, history, violations, stopped),
    counts,
    trace: () => world.trace(),
    happened: world.happened,
    lastedMs: world.nowMs,
  };
}
