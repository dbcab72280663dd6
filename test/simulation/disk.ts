import type { Adopted, SpooledTask, SpoolOutcome, SpoolStats, SpoolStore } from "../../src/broker/spool.js";
import { HoldfastError } from "../../src/core/errors.js";
import type { NewTask } from "../../src/core/message.js";
import { MemorySpoolStore } from "../support/memory-spool-store.js";
import type { Process, World } from "./world.js";

export interface DiskEvents {
  /** These are about to leave the spool. */
  readonly onReleased: (task: NewTask, outcome: SpoolOutcome, by: Process) => void;
}

/** A machine's disk: what is on it outlives the processes that wrote it, and what was on its way to it does not. */
export class Disk {
  readonly maxTasks: number;
  readonly parked: NewTask[] = [];
  /** So many faults are at work on it at present. */
  full = 0;
  failing = 0;
  slow = 0;
  readonly #world: World;
  readonly #events: DiskEvents;
  readonly #files = new Map<Process, SimStore>();

  constructor(world: World, maxTasks: number, events: DiskEvents) {
    this.#world = world;
    this.maxTasks = maxTasks;
    this.#events = events;
  }

  /** A file of its own for a process; it adopts what dead ones have left, now and then. */
  open(owner: Process): SimStore {
    const store = new SimStore(this.#world, this, owner, this.#events);
    this.#files.set(owner, store);
    const look = () => {
      this.#adopt(store);
      this.#world.in(this.#world.between(1_000, 4_000), look, owner);
    };
    look();
    return store;
  }

  /** All that is on it. */
  get tasks(): NewTask[] {
    return [...this.#files.values()].flatMap(({ file }) => file.tasks.map(({ task }) => task));
  }

  #adopt(heir: SimStore): void {
    for (const [owner, store] of this.#files) {
      if (owner.state !== "dead" || store.file.tasks.length === 0) continue;
      heir.take(store.file.tasks.splice(0));
    }
  }
}

/** A spool's file on a simulated disk. What is acknowledged is on the disk; what is on it may not be acknowledged yet. */
export class SimStore implements SpoolStore {
  readonly file = new MemorySpoolStore();
  readonly #world: World;
  readonly #disk: Disk;
  readonly #owner: Process;
  readonly #events: DiskEvents;
  readonly #ids = new Map<number, NewTask>();
  #adopted: (adopted: Adopted) => void = () => {};
  #atMs = 0;

  constructor(world: World, disk: Disk, owner: Process, events: DiskEvents) {
    this.#world = world;
    this.#disk = disk;
    this.#owner = owner;
    this.#events = events;
  }

  append(tasks: readonly NewTask[], nowMs: number): Promise<number> {
    const { full, maxTasks } = this.#disk;
    const count = this.file.tasks.length;
    if (full > 0 || count + tasks.length > maxTasks) {
      const data = { directory: "simulated", tasks: count, maxTasks, bytes: 0, maxBytes: 1, diskFull: full > 0 };
      return Promise.reject(new HoldfastError("SPOOL_FULL", data));
    }
    return this.#write(() => this.#put(tasks, nowMs));
  }

  read(after: number, limit: number): Promise<readonly SpooledTask[]> {
    return this.#read(() => this.file.read(after, limit));
  }

  release(ended: readonly { readonly sequence: number; readonly outcome: SpoolOutcome }[]): Promise<void> {
    return this.#write(() => {
      for (const { sequence, outcome } of ended) {
        const task = this.#ids.get(sequence);
        if (task === undefined) continue;
        this.#ids.delete(sequence);
        if (outcome.status === "parked") this.#disk.parked.push(task);
        this.#events.onReleased(task, outcome, this.#owner);
      }
      void this.file.release(ended);
    });
  }

  outcomes(ids: readonly string[]): Promise<(SpoolOutcome | undefined)[]> {
    return this.file.outcomes(ids);
  }

  async stats(): Promise<SpoolStats> {
    return { ...(await this.file.stats()), maxTasks: this.#disk.maxTasks };
  }

  onAdopted(listener: (adopted: Adopted) => void): void {
    this.#adopted = listener;
  }

  onUnreadable(): void {}

  /** What another process has left. */
  take(rows: readonly SpooledTask[]): void {
    for (const { task, acceptedAtMs } of rows) this.#put([task], acceptedAtMs);
    this.#world.say(`adopts ${rows.length}`);
    this.#tellAdopted();
  }

  async close(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}

  /** They come after all that was there. */
  #tellAdopted(): void {
    const { tasks } = this.file;
    const queues = [...new Set(tasks.map(({ task }) => task.message.queue))];
    if (tasks.length > 0) this.#adopted({ tasks: tasks.length, queues, last: tasks.at(-1)!.sequence });
  }

  #put(tasks: readonly NewTask[], nowMs: number): number {
    void this.file.append(tasks, nowMs);
    const last = this.file.tasks.at(-1)!.sequence;
    for (const [n, task] of tasks.entries()) this.#ids.set(last - tasks.length + 1 + n, task);
    return last;
  }

  /** Done when it is on the disk, whoever hears of it; one after the other. */
  #write<T>(act: () => T): Promise<T> {
    const world = this.#world;
    const tookMs = this.#disk.slow > 0 ? world.between(20, 600) : world.between(0.1, 3);
    this.#atMs = Math.max(this.#atMs, world.nowMs + tookMs);
    return new Promise((resolve, reject) => {
      world.in(
        this.#atMs - world.nowMs,
        () => {
          if (this.#owner.state === "dead") return;
          const fails = this.#disk.failing > 0 && world.chance(0.7);
          // An error may come when all is written, and nobody can tell: such a file is adopted, as if its process had died.
          const done = fails && world.chance(0.7) ? undefined : { value: act() };
          if (fails && done !== undefined) world.in(1_000, () => this.#tellAdopted(), this.#owner);
          const answer = () => (fails || done === undefined ? reject(this.#failure()) : resolve(done.value));
          world.in(world.between(0, 0.5), answer, this.#owner);
        },
        disk,
      );
    });
  }

  #read<T>(act: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#world.in(0.05, () => {
        if (this.#disk.failing > 0 && this.#world.chance(0.3)) reject(this.#failure());
        else resolve(act());
      });
    });
  }

  #failure(): HoldfastError<"SPOOL_FAILED"> {
    return new HoldfastError("SPOOL_FAILED", { directory: "simulated", problem: "EIO" });
  }
}

/** What goes on below all processes. */
const disk: Process = { name: "disk", state: "running" };
