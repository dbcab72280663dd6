import type { Incarnation } from "../../src/broker/incarnation.js";
import type { NewTask } from "../../src/core/message.js";
import { Data, keyOf } from "./data.js";
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

  /** What was enqueued since then. */
  since(atMs: number): string[] {
    return this.#writes
      .filter((write) => write.atMs > atMs)
      .flatMap(({ tasks }) => tasks.map(({ message }) => keyOf(message)));
  }
}

export type Persistence = "aof" | "snapshot";
const longestUnsyncedMs = 2_000;
/** For so long a master that has been cut off goes on before another one is made. */
export const longestDoomedMs = 5_000;

/** A storage that is there or not: a server, the one that takes over from it, and the one that has been given up and does not know. */
export class Shard {
  readonly process: Process;
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
  #lives = 1;

  constructor(world: World, name: string, persistence: Persistence, onForgot: (why: string) => void) {
    this.#world = world;
    this.process = { name, state: "running" };
    this.persistence = persistence;
    this.#onForgot = onForgot;
    this.current = new Lineage(`${name}#1`);
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
  }

  /** It is cut off: some still write to it, and the next master does not hear of it. */
  beginSplit(): () => void {
    const cutMs = this.#world.wallMs - this.#world.between(0, 500);
    const doomed = this.current;
    this.stale = doomed;
    return () => {
      this.#comeBack(doomed, cutMs, "failover");
      this.outvoted = true;
    };
  }

  endSplit(): void {
    this.stale = undefined;
    this.outvoted = false;
    this.#onForgot("old master demoted");
  }

  /** Written to a master that was given up, after that. */
  writtenInVain(task: NewTask): void {
    this.exposed.add(keyOf(task.message));
  }

  #comeBack(from: Lineage, cutMs: number, why: string): void {
    for (const key of from.since(cutMs)) this.exposed.add(key);
    this.current = from.until(cutMs, `${this.name}#${(this.#lives += 1)}`);
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
