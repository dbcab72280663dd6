import { seeded } from "../support/seeded.js";

/** A process of the simulated fleet: whatever it is about to do waits while it is frozen, and never comes once it is dead. */
export interface Process {
  readonly name: string;
  state: "running" | "frozen" | "dead";
}

interface Happening {
  readonly atMs: number;
  readonly order: number;
  readonly owner: Process | undefined;
  act: (() => void) | undefined;
}

/** What can still be called off. */
export interface Planned {
  cancel(): void;
}

/** Time at the start of the next world: each begins on a day of its own, for ids must not run backwards in one process. */
let nextEpochMs = Date.UTC(2030, 0, 1);
const dayMs = 86_400_000;

/** More than these in one run, and it goes round in circles. */
const mostHappenings = 400_000;
const lookEveryMs = 50;

/**
 * Virtual time, chance and processes. Whatever is to happen stands in one list; the next one happens when all that the
 * one before has set off is done, at its time, at once. So a run depends on the seed, and on nothing else.
 */
export class World {
  readonly seed: number;
  /** Of the world's own choices; what the code under test chooses is of another stream. */
  readonly random: () => number;
  readonly epochMs = (nextEpochMs += dayMs);
  readonly #said: (readonly [atMs: number, by: string, what: string | object])[] = [];
  nowMs = 0;
  /** Whose doing it is that is under way. */
  current: Process | undefined;
  happened = 0;
  #order = 0;
  #heap: Happening[] = [];
  readonly #held = new Map<Process, Happening[]>();

  constructor(seed: number) {
    this.seed = seed;
    this.random = seeded(seed);
  }

  get wallMs(): number {
    return this.epochMs + this.nowMs;
  }

  /** What is still to come. */
  get planned(): number {
    return this.#heap.length;
  }

  between(least: number, most: number): number {
    return least + this.random() * (most - least);
  }

  /** A whole number, both ends included. */
  among(least: number, most: number): number {
    return Math.floor(this.between(least, most + 1));
  }

  one<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)]!;
  }

  chance(of: number): boolean {
    return this.random() < of;
  }

  /** For people who look for what went wrong. */
  say(what: string | object): void {
    this.#said.push([this.nowMs, this.current?.name ?? "", what]);
  }

  /** All that was said; made when somebody wants to read it, for mostly nobody does. */
  trace(): string[] {
    return this.#said.map(([atMs, by, what]) => {
      const text = typeof what === "string" ? what : Object.values(what).map(String).join(" ");
      return `${atMs.toFixed(1).padStart(9)} ${by.padEnd(8)} ${text}`;
    });
  }

  /** In so many ms, on behalf of the process that is acting now unless told otherwise. */
  in(ms: number, act: () => void, owner: Process | undefined = this.current): Planned {
    const happening: Happening = { atMs: this.nowMs + Math.max(0, ms), order: (this.#order += 1), owner, act };
    push(this.#heap, happening);
    return {
      cancel() {
        happening.act = undefined;
      },
    };
  }

  as<T>(process: Process, act: () => T): T {
    const before = this.current;
    this.current = process;
    try {
      return act();
    } finally {
      this.current = before;
    }
  }

  freeze(process: Process): void {
    if (process.state === "running") process.state = "frozen";
  }

  thaw(process: Process): void {
    if (process.state !== "frozen") return;
    process.state = "running";
    for (const { act } of this.#held.get(process) ?? []) if (act !== undefined) this.in(0, act, process);
    this.#held.delete(process);
  }

  kill(process: Process): void {
    process.state = "dead";
    this.#held.delete(process);
  }

  /** Until it is done, which is looked at now and then; false when it is not by then. */
  async until(done: () => boolean, limitMs: number): Promise<boolean> {
    // From here on we are among the microtasks: the next tick comes when none of them is left.
    await Promise.resolve();
    for (let lookMs = this.nowMs; ;) {
      if (this.nowMs >= lookMs) {
        if (done()) return true;
        lookMs = this.nowMs + lookEveryMs;
      }
      const next = this.#heap[0];
      if (next === undefined || next.atMs > limitMs) {
        this.nowMs = limitMs;
        return done();
      }
      pop(this.#heap);
      const { act, owner } = next;
      if (act === undefined || owner?.state === "dead") continue;
      if (owner?.state === "frozen") {
        this.#held.set(owner, [...(this.#held.get(owner) ?? []), next]);
        continue;
      }
      if ((this.happened += 1) > mostHappenings) throw new Error(`more than ${mostHappenings} things have happened`);
      this.nowMs = next.atMs;
      this.current = owner;
      act();
      // oxlint-disable-next-line no-await-in-loop -- one after the other is what it is for
      await allIsDone();
      this.current = undefined;
    }
  }
}

const allIsDone = () => new Promise<void>((resolve) => process.nextTick(resolve));

const isSooner = (a: Happening, b: Happening) => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

function push(heap: Happening[], one: Happening): void {
  let at = heap.push(one) - 1;
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (!isSooner(one, heap[above]!)) break;
    heap[at] = heap[above]!;
    at = above;
  }
  heap[at] = one;
}

function pop(heap: Happening[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let below = at * 2 + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && isSooner(heap[below + 1]!, heap[below]!)) below += 1;
    if (!isSooner(heap[below]!, last)) break;
    heap[at] = heap[below]!;
    at = below;
  }
  heap[at] = last;
}
