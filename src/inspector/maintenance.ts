import type { Broker, Looking } from "../broker/broker.js";
import type { Act } from "../broker/roles.js";
import type { FailedOver, Replication, Standstill, Standstills } from "../broker/standstill.js";
import { invalidOption } from "../core/errors.js";
import { pause } from "../core/loop.js";
import type { Maintaining } from "./options.js";

/** What maintenance needs of a broker. */
export type MaintainedBroker = Looking & Pick<Broker, "clock" | "standstills">;

export interface MaintenanceBegun {
  /** All that there were: they take no tasks and give none. */
  readonly queues: readonly string[];
  readonly untilMs: number;
  /** Tasks whose handlers have not ended. */
  readonly active: number;
  readonly servers: readonly ReplicaState[];
  /** Nothing is active, and every replica has all that was written. */
  readonly ready: boolean;
}

/** A server that is written to. */
export interface ReplicaState {
  /** "host:port". */
  readonly server: string;
  readonly replicas: readonly {
    readonly server: string;
    /** It follows, and has all that there was when it was asked for. */
    readonly caughtUp: boolean;
  }[];
}

export interface MaintenanceEnded {
  /** Those that go on; one whose time was over is not among them. */
  readonly queues: readonly string[];
  readonly servers: readonly ReplicaState[];
}

export interface QueueMaintenance extends Standstill {
  readonly queue: string;
}

const everyMs = 100;
/** Replicas say where they are once a second. */
const replicasMs = 10_000;

/** @throws OPTION_INVALID where there is nothing that could take over */
function standstillsOf({ standstills }: Pick<Broker, "standstills">, verb: string): Standstills {
  if (standstills !== undefined) return standstills;
  throw invalidOption(verb, "is for Redis: a file has no replica to take over; stop what uses it instead");
}

/** Stops what is written, waits for what runs, then for the replicas. */
export async function beginMaintenance(
  broker: MaintainedBroker,
  by: Act,
  { forMs, drainMs, signal }: Maintaining,
): Promise<MaintenanceBegun> {
  const standstills = standstillsOf(broker, "beginMaintenance");
  const nowMs = broker.clock.nowMs();
  const untilMs = nowMs + forMs;
  const all = (await broker.queues(nowMs)).map(({ name }) => name);
  const receipts = await standstills.set(all, untilMs, by, nowMs);
  const queues = all.filter((_, n) => receipts[n] !== "notFound");
  const activeNow = async () => {
    const infos = await broker.queues(broker.clock.nowMs(), queues);
    return infos.reduce((sum, { counts }) => sum + counts.active, 0);
  };
  const active = await settled(drainMs, activeNow, (count) => count === 0, signal);
  const servers = await replicasOf(standstills, signal);
  return { queues, untilMs, active, servers, ready: active === 0 && haveAll(servers) };
}

export async function endMaintenance(broker: MaintainedBroker, by: Act): Promise<MaintenanceEnded> {
  const standstills = standstillsOf(broker, "endMaintenance");
  const nowMs = broker.clock.nowMs();
  const all = (await broker.queues(nowMs)).map(({ name }) => name);
  const receipts = await standstills.set(all, undefined, by, nowMs);
  return { queues: all.filter((_, n) => receipts[n] === "changed"), servers: await replicasOf(standstills) };
}

export async function maintenanceOf(broker: MaintainedBroker): Promise<QueueMaintenance[]> {
  const standstills = standstillsOf(broker, "maintenance");
  const nowMs = broker.clock.nowMs();
  const all = (await broker.queues(nowMs)).map(({ name }) => name);
  const found = await standstills.of(all, nowMs);
  return found.flatMap((one, n) => (one === undefined ? [] : [{ queue: all[n]!, ...one }]));
}

export async function failOver(broker: MaintainedBroker, by: Act, withinMs: number): Promise<FailedOver> {
  return standstillsOf(broker, "failOver").failOver(withinMs, by, broker.clock.nowMs());
}

/** What a master had when it was first asked is what its replicas are to have: it goes on writing, if only heartbeats. */
async function replicasOf(standstills: Standstills, signal?: AbortSignal): Promise<ReplicaState[]> {
  const first = await standstills.replication();
  const stateOf = (now: readonly Replication[]): ReplicaState[] =>
    now.map(({ server, replicas }) => {
      const had = first.find((one) => one.server === server)?.offset ?? 0;
      return {
        server,
        replicas: replicas.map((one) => ({ server: one.server, caughtUp: one.online && one.offset >= had })),
      };
    });
  return settled(replicasMs, async () => stateOf(await standstills.replication()), haveAll, signal);
}

const haveAll = (servers: readonly ReplicaState[]) =>
  servers.every(({ replicas }) => replicas.every(({ caughtUp }) => caughtUp));

/** The value when it is as it should be, or as it is when the time is up. */
async function settled<T>(
  withinMs: number,
  look: () => Promise<T>,
  isGood: (value: T) => boolean,
  signal?: AbortSignal,
): Promise<T> {
  const untilMs = performance.now() + withinMs;
  for (;;) {
    const value = await look();
    if (isGood(value) || signal?.aborted === true || performance.now() + everyMs > untilMs) return value;
    await pause(everyMs, signal);
  }
}
