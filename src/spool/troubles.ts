/** Why tasks of a queue are not sent for now: storage is away or refuses, or it tried and could not. */
export type Trouble = "away" | "failed";

export interface Pace {
  /** After the first try in vain; twice as long after each further one. */
  readonly awayMs: number;
  readonly longestAwayMs: number;
  readonly failedMs: number;
  readonly longestFailedMs: number;
  /** A task that storage could not take this often is parked. */
  readonly parkAfter: number;
}

export const defaultPace: Pace = {
  awayMs: 250,
  longestAwayMs: 5_000,
  failedMs: 1_000,
  longestFailedMs: 60_000,
  parkAfter: 100,
};

/** A queue whose tasks stay where they are until one of them, the first, gets through. */
export interface Lane {
  readonly queue: string;
  readonly first: number;
  /** From here on tasks are to be sent once the queue goes on: some before the first may have to be sent again. */
  readonly from: number;
  readonly trouble: Trouble;
  readonly tries: number;
  readonly retryMs: number;
  /** It is being tried. */
  readonly busy: boolean;
}

/** A task that storage could not take, out of the way of those behind it. */
export interface Aside {
  readonly queue: string;
  readonly sequence: number;
  readonly tries: number;
  readonly retryMs: number;
}

/** So many of one queue, and it is not the tasks but the queue that is in trouble. */
const mostAside = 8;

/** What is not sent for now, and when it is tried again. Times are of a clock that never jumps, ms. */
export class Troubles {
  readonly #pace: Pace;
  readonly #lanes = new Map<string, Lane>();
  readonly #aside = new Map<number, Aside>();

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** How many queues wait for storage. */
  get away(): number {
    return [...this.#lanes.values()].filter(({ trouble }) => trouble === "away").length;
  }

  lane(queue: string): Lane | undefined {
    return this.#lanes.get(queue);
  }

  aside(sequence: number): Aside | undefined {
    return this.#aside.get(sequence);
  }

  /** The queue waits, from this task on; `from` is the first task that nobody has looked at, where that comes earlier. */
  stop(queue: string, first: number, from: number, trouble: Trouble, nowMs: number): void {
    const before = this.#lanes.get(queue);
    const tries = (before?.trouble === trouble ? before.tries : 0) + 1;
    const retryMs = nowMs + this.#pauseMs(trouble, tries);
    const lane = {
      queue,
      first: Math.min(first, before?.first ?? first),
      from: Math.min(first, from, before?.from ?? first),
    };
    this.#lanes.set(queue, {
      ...lane,
      trouble,
      tries,
      retryMs,
      busy: false,
    });
  }

  /** It is being tried, however long that takes; `from` as above. */
  busy(queue: string, first: number, from: number): void {
    const lane = this.#lanes.get(queue) ?? { queue, first, from: first, trouble: "away", tries: 0, retryMs: 0 };
    this.#lanes.set(queue, { ...lane, from: Math.min(lane.from, from), busy: true });
  }

  /** What it has from `from` on is being sent up to `to`. False: it has been sent back meanwhile, so not from there. */
  goesOn(queue: string, first: number, from: number, to: number): boolean {
    const lane = this.#lanes.get(queue);
    if (lane?.from !== from) return false;
    this.#lanes.set(queue, { ...lane, first, from: to + 1 });
    return true;
  }

  /** The queue goes on, from the sequence that is answered. */
  resume(queue: string, first: number): number {
    const from = this.#lanes.get(queue)?.from ?? first;
    this.#lanes.delete(queue);
    return from;
  }

  /** From this task on some are to be sent again: also of those that wait. */
  rewind(sequence: number): void {
    for (const [queue, lane] of this.#lanes) {
      this.#lanes.set(queue, { ...lane, from: Math.min(lane.from, sequence) });
    }
  }

  /** False where so many of the queue are aside that it should wait as a whole. */
  setAside(queue: string, sequence: number, nowMs: number): boolean {
    const before = this.#aside.get(sequence);
    const others = [...this.#aside.values()].filter((one) => one.queue === queue && one.sequence !== sequence).length;
    if (before === undefined && others >= mostAside) return false;
    const tries = (before?.tries ?? 0) + 1;
    this.#aside.set(sequence, { queue, sequence, tries, retryMs: nowMs + this.#pauseMs("failed", tries) });
    return true;
  }

  /** It is being tried, however long that takes. */
  busyAside(aside: Aside): void {
    this.#aside.set(aside.sequence, { ...aside, retryMs: Number.POSITIVE_INFINITY });
  }

  /** Out of the list: it got through, or was parked. */
  settle(sequence: number): void {
    this.#aside.delete(sequence);
  }

  isHopeless({ tries }: Lane | Aside): boolean {
    return tries >= this.#pace.parkAfter;
  }

  dueLanes(nowMs: number): Lane[] {
    return [...this.#lanes.values()].filter(({ retryMs, busy }) => !busy && retryMs <= nowMs);
  }

  dueAside(nowMs: number): Aside[] {
    return [...this.#aside.values()].filter(({ retryMs }) => retryMs <= nowMs);
  }

  /** When the next of them is due. */
  nextMs(): number {
    const idle = [...this.#lanes.values()].filter(({ busy }) => !busy);
    return Math.min(...[...idle, ...this.#aside.values()].map(({ retryMs }) => retryMs));
  }

  /** Storage seems to be back: nobody who waits for it waits any longer. */
  hasten(): void {
    for (const [queue, lane] of this.#lanes)
      if (lane.trouble === "away") this.#lanes.set(queue, { ...lane, retryMs: 0 });
  }

  #pauseMs(trouble: Trouble, tries: number): number {
    const { awayMs, longestAwayMs, failedMs, longestFailedMs } = this.#pace;
    const [first, longest] = trouble === "away" ? [awayMs, longestAwayMs] : [failedMs, longestFailedMs];
    return Math.min(longest, first * 2 ** Math.min(tries - 1, 30)) * (0.5 + Math.random() / 2);
  }
}
