import type { Incarnation } from "../../src/broker/incarnation.js";
import type { NewTask } from "../../src/core/message.js";
import { Data, keyOf } from "./data.js";
import { Follower } from "./follower.js";
import type { Process, World } from "./world.js";

/** Something that was written: done once more it leads to the same data. */
interface Write {
  readonly atMs: number;
  readonly act: (data: Data) => unknown;
  readonly tasks: readonly NewTask[];
}

/** One server's data, and how they came about: so they can be cut off anywhere. */
export class Lineage {
  readonly id: string;
  readonly data = new Data();
  readonly #writes: Write[] = [];

  constructor(id: string, writes: readonly Write[] = []) {
    this.id = id;
    for (const { act, atMs, tasks } of writes) this.write(atMs, act, tasks);
  }

  write<T>(atMs: number, act: (data: Data) => T, tasks: readonly NewTask[] = []): T {
    this.#writes.push({ atMs, act, tasks });
    return act(this.data);
  }

  /** It has just been done. */
  remember(atMs: number, act: (data: Data) => unknown): void {
    this.#writes.push({ atMs, act, tasks: [] });
  }

  /** What there was at that time. */
  until(atMs: number, id: string): Lineage {
    return new Lineage(
      id,
      this.#writes.filter((write) => write.atMs <= atMs),
    );
  }

  /** All that was ever enqueued. */
  enqueued(): string[] {
    return this.#writes.flatMap(({ tasks }) => tasks.map(({ message }) => keyOf(message)));
  }

  /** How far it was written by then. */
  offset(atMs: number): number {
    return this.#writes.findLastIndex((write) => write.atMs <= atMs) + 1;
  }
}

export type Persistence = "aof" | "snapshot";
const longestUnsyncedMs = 2_000;
/** For so long a master that has been cut off goes on before another one is made. */
export const longestDoomedMs = 5_000;

/** A storage that is there or not: a server, those that may take over from it, and the one that has been given up and does not know. */
export class Shard {
  readonly process: Process;
  readonly followers: readonly Follower[];
  readonly persistence: Persistence;
  current: Lineage;
  /** The old master, as long as it goes on. */
  stale: Lineage | undefined;
  /** Another one has been made the master. */
  outvoted = false;
  down = 0;
  refusing = 0;
  /** Of enqueues that storage has forgotten after it had answered: who trusted its reply has lost them. */
  readonly exposed = new Set<string>();
  savedMs: number;
  readonly #world: World;
  readonly #onForgot: (why: string) => void;
  #afterSplit = () => {};
  #lives = 1;

  constructor(
    world: World,
    name: string,
    { persistence, replicas }: { readonly persistence: Persistence; readonly replicas: number },
    onForgot: (why: string) => void,
  ) {
    this.#world = world;
    this.process = { name, state: "running" };
    this.persistence = persistence;
    this.#onForgot = onForgot;
    this.current = new Lineage(`${name}#1`);
    this.followers = Array.from({ length: replicas }, () => new Follower(world, this.process, () => this.current));
    this.savedMs = world.wallMs;
    if (persistence === "snapshot") this.#saveLater();
  }

  get name(): string {
    return this.process.name;
  }

  incarnation({ id }: Lineage): Incarnation {
    const { persistence } = this;
    if (persistence === "aof") return { id, persistence };
    // Told in whole seconds, and one less, as the real one is.
    return { id, persistence, savedUntilMs: (Math.floor(this.savedMs / 1_000) - 1) * 1_000 };
  }

  /** As INFO tells of them. */
  replication(master: Lineage): Record<string, string> {
    const shown = this.followers.filter((follower) => follower.isShownTo(master));
    const lines = shown.map((follower) => {
      const n = this.followers.indexOf(follower);
      return [`slave${n}`, `ip=10.0.0.${n},port=6379,state=online,offset=${master.offset(follower.toldMs)},lag=0`];
    });
    return { master_repl_offset: String(master.offset(Infinity)), ...Object.fromEntries(lines) };
  }

  /** What would be there if it was lost now, in the worst way. */
  safeUntilMs(failsOver: boolean): number {
    if (this.persistence === "snapshot") return this.savedMs;
    return this.#world.wallMs - (failsOver ? longestDoomedMs : longestUnsyncedMs);
  }

  /** It has lost its power, and comes back with what was on its disk. */
  powerCut(): void {
    const at = this.#world.wallMs;
    const cutMs = this.persistence === "snapshot" ? this.savedMs : at - this.#world.between(0, longestUnsyncedMs);
    this.#comeBack(this.current, cutMs, "power cut");
    for (const follower of this.followers) follower.follow();
  }

  /**
   * It is cut off, with some of its replicas: some still write to it, and its heir does not hear of it. Answers what makes
   * that the master.
   */
  beginSplit(heir: Follower): () => void {
    const doomed = this.current;
    this.stale = doomed;
    const apart = this.followers.filter((one) => one === heir || this.#world.chance(0.5));
    const stay = this.followers.filter((one) => !apart.includes(one));
    for (const one of apart) one.cut += 1;
    this.#afterSplit = () => {
      for (const one of apart) one.cut -= 1;
    };
    return () => {
      this.#comeBack(heir.lineage, heir.haveMs, "failover");
      this.outvoted = true;
      for (const one of apart) if (one !== heir) one.cut -= 1;
      // Each of these has been with the old master to the end, and that one takes the place of its heir.
      this.#afterSplit = () => {
        for (const one of stay) if (one.follows && one.lineage === doomed) one.demote(doomed);
        heir.demote(doomed);
        heir.cut -= 1;
      };
    };
  }

  endSplit(): void {
    const { outvoted } = this;
    this.stale = undefined;
    this.outvoted = false;
    this.#afterSplit();
    if (outvoted) this.#onForgot("old master demoted");
  }

  /** Written to a master that was given up, after that. */
  writtenInVain(task: NewTask): void {
    this.exposed.add(keyOf(task.message));
  }

  #comeBack(from: Lineage, cutMs: number, why: string): void {
    const before = this.current;
    this.current = from.until(cutMs, `${this.name}#${(this.#lives += 1)}`);
    const { takenMs } = this.current.data;
    for (const key of before.enqueued()) if (!takenMs.has(key)) this.exposed.add(key);
    this.savedMs = Math.min(this.savedMs, cutMs);
    this.#world.say(`${this.name}: ${why}, as of ${Math.round(this.#world.wallMs - cutMs)} ms ago`);
    this.#onForgot(why);
  }

  #saveLater(): void {
    this.#world.in(
      this.#world.between(2_000, 6_000),
      () => {
        this.savedMs = this.#world.wallMs;
        this.#saveLater();
      },
      this.process,
    );
  }
}
