import { SimBroker, Wakes } from "./broker.js";
import { Consumer } from "./consumer.js";
import { keyOf } from "./data.js";
import { Disk } from "./disk.js";
import type { Journal } from "./journal.js";
import type { Setting } from "./plan.js";
import { Producer } from "./producer.js";
import type { Follower } from "./follower.js";
import type { Road } from "./road.js";
import { Shard } from "./shard.js";
import type { Process, World } from "./world.js";
import type { Confirmation } from "../../src/broker/broker.js";
import type { SpoolOutcome } from "../../src/broker/spool.js";
import type { NewTask } from "../../src/core/message.js";

/** What runs: storage, a disk, producers and workers, each of which may be killed and started again. */
export class Fleet {
  readonly setting: Setting;
  readonly shards: readonly Shard[];
  readonly disk: Disk;
  readonly producers: Producer[] = [];
  readonly consumers: Consumer[] = [];
  /** By task: that it was the so manieth to come to any storage. */
  readonly arrived = new Map<string, number>();
  /** How tasks left the spool. */
  readonly released = new Map<string, SpoolOutcome>();
  /**
   * What storage has said to outcomes of which the worker has not told yet; by process and id, in order: data that went back
   * give a task to the worker that holds it already.
   */
  readonly confirmed = new Map<string, Confirmation[]>();
  /** What no history shows. */
  readonly seen: { readonly invariant: string; readonly what: string }[] = [];
  readonly breakers = new Map<string, { readonly process: Process; readonly state: string; readonly before: string }>();
  readonly #world: World;
  readonly #journal: Journal;
  readonly #wakes = new Wakes();
  #births = 0;

  constructor(world: World, journal: Journal, setting: Setting) {
    this.#world = world;
    this.#journal = journal;
    this.setting = setting;
    const forgot = (why: string) => journal.say({ e: "incarnation", why }, "supervisor");
    this.shards = Array.from({ length: setting.shards }, (_, n) => new Shard(world, `shard${n + 1}`, setting, forgot));
    this.disk = new Disk(world, setting.maxSpooled, {
      onReleased: (...released) => this.#onReleased(...released),
    });
    for (const n of setting.producers.keys()) this.addProducer(n);
    for (const n of setting.workers.keys()) this.addConsumer(n);
  }

  get processes(): Process[] {
    return [...this.producers, ...this.consumers].map((one) => one.process);
  }

  get roads(): Road[] {
    return [...this.producers, ...this.consumers].flatMap(({ broker }) => broker.roads);
  }

  /**
   * One of these may be the next master: Sentinels and the network choose. Not, while another one may be, a replica that
   * these have not seen follow before they looked: who does not know of it cannot wait for it.
   */
  heirs(shard: Shard, lookers: readonly Process[] = this.processes): Follower[] {
    const able = shard.followers.filter((one) => one.mayLead);
    const roads = this.producers
      .filter(({ process }) => lookers.includes(process))
      .flatMap(({ broker }) => broker.roads)
      .filter((road) => road.looked === shard.current);
    const isSeen = (one: Follower) => roads.every(({ seen }) => seen.get(one) === shard.current);
    const known = able.filter((one) => one.follows || isSeen(one));
    return known.length > 0 ? known : able;
  }

  addProducer(n: number): void {
    const owner = this.#born(`p${n + 1}`);
    const { trustAfterMs, persistence, producers } = this.setting;
    const options = { ...producers[n]!, trustAfterMs, afterSave: persistence === "snapshot" };
    this.#world.as(owner, () => {
      const broker = this.#broker(owner);
      this.producers[n] = new Producer(this.#world, this.#journal, broker, owner, this.disk, options);
    });
  }

  addConsumer(n: number): void {
    const owner = this.#born(`w${n + 1}`);
    const options = { ...this.setting.workers[n]!, ordered: n === 0 };
    this.#world.as(owner, () => {
      this.consumers[n] = new Consumer(this.#journal, this.#broker(owner), owner, options);
    });
  }

  kill({ process }: { readonly process: Process }): void {
    this.#world.kill(process);
    this.#journal.say({ e: "process", name: process.name, what: "killed" }, "supervisor");
  }

  /**
   * A worker tells that an outcome is settled, or that its lease is lost; answers whether storage has said so. One whose
   * first try had no answer, and whose second finds the lease gone, can only suppose that the first came through.
   */
  confirms(id: string, receipt: Confirmation): boolean {
    const key = `${this.#world.current!.name} ${id}`;
    const said = this.confirmed.get(key)?.shift();
    if (said === undefined) this.#see("dropped", `${key} was told to be settled, and storage has said nothing`);
    return said === receipt || (said === "leaseLost" && receipt === "presumed");
  }

  /** The breaker of a process has told what it is now; one that is dead has nothing to tell. */
  heard(name: string, shard: string, state: string): void {
    const process = this.processes.find((one) => one.name === name);
    if (process === undefined) return;
    const key = `${name} ${shard}`;
    const known = this.breakers.get(key);
    const before = known?.state ?? "closed";
    this.breakers.set(key, { process, state, before });
    this.#world.say(`breaker of ${shard} ${before} -> ${state}`);
    // What it was probed with while it was degraded may be answered when it has opened.
    const isProbed = before === "open" && known?.before === "degraded" && state === "closed";
    if (!isProbed && !mayBecome[before]!.includes(state)) this.#see("breaker", `${key}: from ${before} to ${state}`);
  }

  #born(name: string): Process {
    const process: Process = { name: `${name}.${(this.#births += 1)}`, state: "running" };
    this.#journal.say({ e: "process", name: process.name, what: "started" }, "supervisor");
    return process;
  }

  #broker(owner: Process): SimBroker {
    const { setting } = this;
    return new SimBroker(this.#world, owner, this.shards, {
      trustAfterMs: setting.trustAfterMs,
      aloneAfterMs: setting.aloneAfterMs,
      skewMs: this.#world.between(-200, 200),
      tellsOfTasks: setting.tellsOfTasks,
      wakes: this.#wakes,
      onDirect: (shard) => this.#onDirect(owner, shard),
      onSettled: (id, receipt) => {
        const key = `${owner.name} ${id}`;
        this.confirmed.set(key, [...(this.confirmed.get(key) ?? []), receipt]);
      },
      onTaken: ({ message }) => {
        const key = keyOf(message);
        if (!this.arrived.has(key)) this.arrived.set(key, this.arrived.size);
      },
    });
  }

  /** Nobody's task is gambled with while it is not known whether storage is there. */
  #onDirect(owner: Process, shard: Shard): void {
    const state = this.breakers.get(`${owner.name} ${this.shards.length === 1 ? "" : shard.name}`)?.state;
    if (state === "open" || state === "halfOpen")
      this.#see("breaker", `${owner.name} sent tasks while it was ${state}`);
  }

  /** Whatever befalls storage now must not take it away any more. */
  #onReleased(task: NewTask, outcome: SpoolOutcome, by: Process): void {
    const key = keyOf(task.message);
    this.released.set(key, outcome);
    if (outcome.status !== "enqueued") return;
    const shard = this.shards[task.message.queue.charCodeAt(0) % this.shards.length]!;
    const takenMs = shard.current.data.takenMs.get(key) ?? Infinity;
    const lateMs = takenMs - shard.safeUntilMs(this.setting.failsOver);
    if (lateMs > 0) this.#see("released early", `${task.message.headers["k"]}, ${Math.round(lateMs)} ms too young`);
    if (shard.stale === undefined && this.heirs(shard, [by]).some((heir) => !heir.has(key)))
      this.#see("released early", `${task.message.headers["k"]}, and a replica lacks it that may take over`);
  }

  #see(invariant: string, what: string): void {
    this.#world.say(`VIOLATION ${invariant}: ${what}`);
    this.seen.push({ invariant, what });
  }
}

const mayBecome: Readonly<Record<string, readonly string[]>> = {
  closed: ["degraded", "open"],
  degraded: ["closed", "open"],
  open: ["halfOpen"],
  halfOpen: ["closed", "open", "degraded"],
};
