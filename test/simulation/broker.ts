import { maxCrashes } from "../../src/broker/broker.js";
import type {
  Confirmation,
  EnqueueReceipt,
  Gauging,
  HeldLease,
  KeeperOptions,
  Lease,
  LeaseKeeper,
  LostLease,
  Producing,
  Promotion,
  ReclaimReceipt,
  SettleReceipt,
  Turn,
  TurnReply,
} from "../../src/broker/broker.js";
import type { Incarnation } from "../../src/broker/incarnation.js";
import type { Signal, Subscription } from "../../src/broker/roles.js";
import type { LeasedTask, LeaseRequest, TaskRef } from "../../src/broker/lease.js";
import type { Spool } from "../../src/broker/spool.js";
import { HoldfastError } from "../../src/core/errors.js";
import { groupedBy } from "../../src/core/grouped-by.js";
import type { QueueInfo, TaskInfo } from "../../src/core/info.js";
import type { NewTask } from "../../src/core/message.js";
import { Replicas } from "../../src/redis/replicas.js";
import type { SpoolStorage } from "../../src/spool/delivery.js";
import type { WorkerBroker } from "../../src/worker/options.js";
import { keyOf } from "./data.js";
import { failed, Road } from "./road.js";
import type { Lineage, Shard } from "./shard.js";
import type { Process, World } from "./world.js";

/** How long a call may take where its caller does not say. */
const timeoutMs = 2_000;
const renewAgainMs = 250;

export interface SimBrokerOptions {
  readonly trustAfterMs: number;
  readonly aloneAfterMs: number;
  /** Its clock is so far from the servers'. */
  readonly skewMs: number;
  /** A task of clients is about to be sent there. */
  readonly onDirect: (shard: Shard) => void;
  readonly onTaken: (task: NewTask) => void;
  /** Storage has said whether the outcome of this task is written. */
  readonly onSettled: (id: string, receipt: Confirmation) => void;
  readonly tellsOfTasks: boolean;
  readonly wakes: Wakes;
}

/** Who is to be told that there may be something in a queue. */
export class Wakes {
  readonly listeners = new Set<(queue: string) => void>();
  tell(queue: string): void {
    for (const listener of this.listeners) listener(queue);
  }
}

/** Storage as one process sees it: each queue is on one of the shards, and each of those may be there or not. */
export class SimBroker implements Omit<Producing, "spool">, Gauging, SpoolStorage, WorkerBroker {
  /** Its process' name: what it tells is told in whoever's doing it was. */
  readonly label: string;
  readonly clock: { nowMs(): number };
  readonly trustAfterMs: number;
  readonly roads: readonly Road[];
  spool: Spool | undefined;
  readonly #world: World;
  readonly #process: Process;
  readonly #options: SimBrokerOptions;
  readonly #replicas = new Replicas(() => this.#options.aloneAfterMs);

  constructor(world: World, owner: Process, shards: readonly Shard[], options: SimBrokerOptions) {
    this.#world = world;
    this.#process = owner;
    this.label = owner.name;
    this.#options = options;
    this.trustAfterMs = options.trustAfterMs;
    this.clock = { nowMs: () => Math.floor(world.wallMs + options.skewMs) };
    this.roads = shards.map((shard) => new Road(world, owner, shard, this.label));
  }

  shardOf(queue: string): string {
    return this.roads.length === 1 ? "" : this.#road(queue).shard.name;
  }

  async enqueue(tasks: readonly NewTask[], nowMs: number, withinMs = timeoutMs): Promise<EnqueueReceipt[]> {
    const receipts = new Map<NewTask, EnqueueReceipt>();
    const parts = [...groupedBy(tasks, ({ message }) => message.queue)];
    const ends = await Promise.allSettled(
      parts.map(async ([queue, part]) => {
        const road = this.#road(queue);
        if (part.some(({ spooled }) => spooled === undefined)) this.#options.onDirect(road.shard);
        const taskIds = part.map(({ message }) => message.id);
        const act = (lineage: Lineage, shard: Shard) => this.#take(part, nowMs, lineage, shard);
        const answers = await road.call({ withinMs, taskIds, grows: true, act });
        for (const [n, task] of part.entries()) receipts.set(task, answers[n]!);
      }),
    );
    throwOf(ends);
    return tasks.map((task) => receipts.get(task)!);
  }

  #take(tasks: readonly NewTask[], nowMs: number, lineage: Lineage, shard: Shard): EnqueueReceipt[] {
    const at = this.#world.wallMs;
    const fit = tasks.filter(({ message }) => message.headers["poison"] === undefined);
    const isVain = shard.stale === lineage && shard.outvoted;
    for (const task of fit) {
      this.#options.onTaken(task);
      if (isVain) shard.writtenInVain(task);
    }
    const receipts = lineage.write(at, (data) => data.enqueue(fit, nowMs, at), fit);
    // As with a key that is in one task's way: the others are in.
    if (fit.length < tasks.length) throw failed("WRONGTYPE a key is in the way");
    if (receipts.some((receipt) => receipt.status === "enqueued" && receipt.state === "pending"))
      this.#options.wakes.tell(tasks[0]!.message.queue);
    return receipts;
  }

  async ping(queue?: string): Promise<void> {
    const roads = queue === undefined ? this.roads : [this.#road(queue)];
    throwOf(await Promise.allSettled(roads.map((road) => road.call({ withinMs: timeoutMs, act: () => undefined }))));
  }

  async probe(queue: string, withinMs = timeoutMs): Promise<void> {
    await this.#road(queue).call({ withinMs, grows: true, act: () => undefined });
  }

  async pending(queues: readonly string[], withinMs = timeoutMs): Promise<number[]> {
    return Promise.all(
      queues.map((queue) =>
        this.#road(queue).call({ withinMs, act: ({ data }) => data.model.counts(queue).pending ?? 0 }),
      ),
    );
  }

  async incarnations(queues: readonly string[], withinMs: number): Promise<(Incarnation | undefined)[]> {
    const parts = [...groupedBy(queues, (queue) => this.#road(queue))];
    const askedMs = performance.now();
    const ends = await Promise.allSettled(
      parts.map(([road]) =>
        road.call({
          withinMs,
          // Who cannot ask the majority, and who is on a server that it does not mean, learns nothing.
          act: (lineage, shard) => {
            if (road.blind > 0 || (shard.outvoted && lineage === shard.stale)) return undefined;
            const followers = shard.followers.filter((one) => one.isShownTo(lineage));
            const replication = shard.replication(lineage);
            return { incarnation: shard.incarnation(lineage), replication, look: { lineage, followers } };
          },
        }),
      ),
    );
    if (ends.every(({ status }) => status === "rejected")) throwOf(ends);
    const found = new Map(parts.map(([road], n) => [road, ends[n]!]));
    return queues.map((queue) => {
      const end = found.get(this.#road(queue))!;
      if (end.status === "rejected" || end.value === undefined) return undefined;
      const { incarnation, replication, look } = end.value;
      const road = this.#road(queue);
      road.saw(look);
      return { ...incarnation, replicas: this.#replicasOf(road, incarnation.id, replication, askedMs) };
    });
  }

  #replicasOf(
    { shard }: Road,
    id: string,
    replication: Record<string, string>,
    askedMs: number,
  ): Incarnation["replicas"] {
    if (shard.followers.length === 0) return undefined;
    const { aloneAfterMs } = this.#options;
    return { haveUntilMs: this.#replicas.look(id, replication, askedMs), aloneAfterMs };
  }

  async find(refs: readonly TaskRef[]): Promise<(TaskInfo | undefined)[]> {
    return Promise.all(
      refs.map((ref) =>
        this.#road(ref.queue).call({
          withinMs: timeoutMs,
          act: ({ data }) => {
            const task = data.model.tasks.get(keyOf(ref));
            return task && ({ ...ref, state: task.state, message: data.messageOf(task) } as TaskInfo);
          },
        }),
      ),
    );
  }

  /**
   * Settles everywhere, and leases from the first queue's shard; what is left to lease the others may give. What belongs to
   * a shard that does not answer is told as such, unless it may have leased something.
   */
  async exchange(turn: Turn, nowMs: number): Promise<TurnReply> {
    const settles = groupedBy([...turn.settle.entries()], ([, { task }]) => this.#road(task.lease.queue));
    const { lease } = turn;
    const leases = groupedBy(lease?.queues ?? [], (queue) => this.#road(queue));
    const [first, ...others] = leases.keys();
    const roads = this.roads.filter((road) => settles.has(road) || road === first);
    const whole = (road: Road) => lease && { ...lease, queues: leases.get(road)! };
    const ends = await Promise.allSettled(
      roads.map((road) => {
        const part = (settles.get(road) ?? []).map(([, one]) => one);
        return this.#turn(road, { settle: part, lease: road === first ? whole(road) : undefined }, nowMs);
      }),
    );
    const isAway = ends.length > 0 && ends.every(({ status }) => status === "rejected");
    if (isAway || ends.some((end, n) => roads[n] === first && mayHaveLeased(end))) throwOf(ends);
    const settled = turn.settle.map((): SettleReceipt => "unavailable");
    const replies = ends.map((end) => (end.status === "fulfilled" ? end.value : undefined));
    for (const [n, road] of roads.entries())
      for (const [m, [at]] of (settles.get(road) ?? []).entries())
        settled[at] = replies[n]?.settled[m] ?? "unavailable";
    for (const [at, { task }] of turn.settle.entries()) {
      const receipt = settled[at]!;
      if (receipt !== "unavailable") this.#options.onSettled(task.lease.id, receipt);
    }
    const there = replies.filter((reply) => reply !== undefined);
    for (const road of others) {
      // oxlint-disable-next-line no-await-in-loop -- the next one gives what is left
      const more = await this.#leaseMore(
        road,
        whole(road)!,
        there.flatMap(({ leased }) => leased),
        nowMs,
      );
      if (more !== undefined) there.push(more);
    }
    return {
      settled,
      leased: there.flatMap(({ leased }) => leased),
      more: there.some(({ more }) => more),
      dry: there.flatMap(({ dry }) => dry),
      paused: [],
    };
  }

  async #leaseMore(
    road: Road,
    lease: LeaseRequest,
    leased: readonly LeasedTask[],
    nowMs: number,
  ): Promise<TurnReply | undefined> {
    const { limit, startable = limit } = lease;
    const count = leased.length;
    if (count >= limit || leased.some(({ crashes }) => crashes >= maxCrashes - 1)) return undefined;
    const rest = { limit: limit - count, startable: Math.max(0, startable - count) };
    const suspects = count === 0 ? lease.suspects : 0;
    const [end] = await Promise.allSettled([
      this.#turn(road, { settle: [], lease: { ...lease, ...rest, suspects } }, nowMs),
    ]);
    if (mayHaveLeased(end)) throwOf([end]);
    return end.status === "fulfilled" ? end.value : undefined;
  }

  #turn(road: Road, turn: Turn, nowMs: number): Promise<TurnReply> {
    const taskIds = turn.settle.map(({ task }) => task.lease.id);
    const act = (lineage: Lineage) => lineage.write(this.#world.wallMs, (data) => data.exchange(turn, nowMs));
    return road.call({ withinMs: timeoutMs, taskIds, act });
  }

  async reclaim(queues: readonly string[], limit: number, nowMs: number): Promise<ReclaimReceipt[]> {
    const act = (road: Road, part: readonly string[]) =>
      this.#write(
        road,
        (data) => data.reclaim(part, limit, nowMs),
        (receipts) => receipts.length > 0,
      );
    return (await this.#everywhere(queues, act)).flat();
  }

  async promote(queues: readonly string[], limit: number, nowMs: number): Promise<Promotion> {
    const act = (road: Road, part: readonly string[]) =>
      this.#write(
        road,
        (data) => data.promote(part, limit, nowMs),
        ({ moved }) => moved > 0,
      );
    const answers = await this.#everywhere(queues, act);
    const next = Math.min(...answers.map(({ nextDueMs = Infinity }) => nextDueMs));
    return {
      moved: answers.reduce((sum, { moved }) => sum + moved, 0),
      nextDueMs: next === Infinity ? undefined : next,
    };
  }

  async prune(queues: readonly string[], limit: number, nowMs: number): Promise<number> {
    const act = (road: Road, part: readonly string[]) =>
      this.#write(
        road,
        (data) => data.prune(part, limit, nowMs),
        (count) => count > 0,
      );
    return (await this.#everywhere(queues, act)).reduce((sum, count) => sum + count, 0);
  }

  /** Not written down where it comes to nothing. */
  #write<T>(road: Road, act: (data: Lineage["data"]) => T, wrote: (answer: T) => boolean): Promise<T> {
    return road.call({
      withinMs: timeoutMs,
      act: (lineage) => {
        const answer = act(lineage.data);
        if (wrote(answer)) lineage.remember(this.#world.wallMs, act);
        return answer;
      },
    });
  }

  async #everywhere<T>(
    queues: readonly string[],
    act: (road: Road, part: readonly string[]) => Promise<T>,
  ): Promise<T[]> {
    const parts = [...groupedBy(queues, (queue) => this.#road(queue))];
    const ends = await Promise.allSettled(parts.map(([road, part]) => act(road, part)));
    if (ends.every(({ status }) => status === "rejected")) throwOf(ends);
    return ends.flatMap((end) => (end.status === "fulfilled" ? [end.value] : []));
  }

  keeper(options: KeeperOptions): LeaseKeeper {
    return new SimKeeper(this.#world, (leases) => this.#renew(leases, options.leaseMs), options);
  }

  async #renew(leases: readonly Lease[], leaseMs: number): Promise<LostLease[]> {
    const parts = [...groupedBy(leases, ({ queue }) => this.#road(queue))];
    const lost = await Promise.all(
      parts.map(([road, part]) =>
        road.call({
          withinMs: timeoutMs,
          act: (lineage) => lineage.write(this.#world.wallMs, (data) => data.renew(part, leaseMs, this.clock.nowMs())),
        }),
      ),
    );
    return lost.flat();
  }

  async queues(): Promise<QueueInfo[]> {
    return [];
  }

  async report(): Promise<void> {}
  async remember(): Promise<never[]> {
    return [];
  }
  async announce(): Promise<{ readonly shared: readonly string[] }> {
    await this.ping();
    return { shared: [] };
  }
  async withdraw(): Promise<void> {}
  async cancellations(tasks: readonly TaskRef[]): Promise<undefined[]> {
    return tasks.map(() => undefined);
  }

  /** A wake that is lost is made up for when the way is free again, as a connection that is mended does. */
  async subscribe(queues: readonly string[], listener: (signal: Signal) => void): Promise<Subscription> {
    await this.ping();
    const { wakes, tellsOfTasks } = this.#options;
    let watching = true;
    const told = new Set<string>();
    const tell = (queue: string) => {
      if (!watching || !queues.includes(queue) || told.has(queue) || !tellsOfTasks) return;
      told.add(queue);
      const road = this.#road(queue);
      const deliver = () => {
        if (road.isWell) listener({ kind: "wake", queue });
        else this.#world.in(500, deliver, this.#process);
      };
      this.#world.in(this.#world.between(0.2, 2), deliver, this.#process);
    };
    wakes.listeners.add(tell);
    return {
      listening: tellsOfTasks,
      watch(on) {
        watching = on;
        if (on) told.clear();
      },
      async [Symbol.asyncDispose]() {
        wakes.listeners.delete(tell);
      },
    };
  }

  #road(queue: string): Road {
    return this.roads[queue.charCodeAt(0) % this.roads.length]!;
  }
}

/** Renews what is held; lives in a thread of its own, so it goes on whatever the handlers do. */
class SimKeeper implements LeaseKeeper {
  readonly #world: World;
  readonly #renew: (leases: readonly Lease[]) => Promise<readonly LostLease[]>;
  readonly #options: KeeperOptions;
  readonly #held = new Map<string, HeldLease>();
  #closed = false;

  constructor(
    world: World,
    renew: (leases: readonly Lease[]) => Promise<readonly LostLease[]>,
    options: KeeperOptions,
  ) {
    this.#world = world;
    this.#renew = renew;
    this.#options = options;
    this.#later(options.leaseMs / 3);
  }

  hold(leases: readonly HeldLease[]): void {
    for (const held of leases) this.#held.set(nameOf(held.lease), held);
  }

  drop(leases: readonly Lease[]): void {
    for (const lease of leases) this.#held.delete(nameOf(lease));
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #later(ms: number): void {
    this.#world.in(ms, () => void this.#turn());
  }

  async #turn(): Promise<void> {
    if (this.#closed) return;
    for (const [name, { renewUntilMs }] of this.#held) if (renewUntilMs < this.#world.wallMs) this.#held.delete(name);
    try {
      const leases = [...this.#held.values()].map(({ lease }) => lease);
      const lost = leases.length === 0 ? [] : await this.#renew(leases);
      const gone = lost.filter((lease) => this.#held.delete(nameOf(lease)));
      if (gone.length > 0 && !this.#closed) this.#options.onLost(gone);
      this.#later(this.#options.leaseMs / 3);
    } catch (error) {
      this.#options.onError(error);
      this.#later(renewAgainMs);
    }
  }
}

const nameOf = ({ queue, id, token }: LostLease) => `${queue} ${id} ${token}`;

const mayHaveLeased = (end: PromiseSettledResult<unknown>) =>
  end.status === "rejected" &&
  HoldfastError.is(end.reason, "BROKER_UNAVAILABLE") &&
  end.reason.data.outcome === "unknown";

/** One error for all: what may have been carried out in part is unknown. */
function throwOf(ends: readonly PromiseSettledResult<unknown>[]): void {
  const errors = ends.flatMap((end) => (end.status === "rejected" ? [end.reason as unknown] : []));
  const [first] = errors;
  if (first === undefined) return;
  const grave = errors.find((error) => !HoldfastError.is(error, "BROKER_UNAVAILABLE"));
  if (grave instanceof Error) throw grave;
  const unavailable = errors as HoldfastError<"BROKER_UNAVAILABLE">[];
  const taskIds = unavailable.flatMap(({ data }) => data.taskIds);
  const unsure = errors.length < ends.length || unavailable.some(({ data }) => data.outcome === "unknown");
  const data = (unavailable[0] as HoldfastError<"BROKER_UNAVAILABLE">).data;
  throw new HoldfastError("BROKER_UNAVAILABLE", { ...data, taskIds, outcome: unsure ? "unknown" : data.outcome });
}
