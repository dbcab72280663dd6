import type { Event, History, Invoke, Start, StoredTask } from "./events.js";

type Of<E extends Event["e"]> = Extract<Event, { readonly e: E }>;
type At<T> = T & { readonly at: number; readonly by: string };

/** One run of a handler. */
export interface Run extends At<Start> {
  finish?: Of<"finish">;
  settled?: Of<"settled">;
  lostAt?: number;
}

/** All that is known of one call and its task. */
export interface Life {
  readonly k: string;
  invoke?: At<Invoke>;
  readonly answers: (Of<"accepted"> | Of<"rejected"> | Of<"unknown">)[];
  readonly ids: Set<string>;
  /** In the order in which they started. */
  readonly runs: Run[];
  readonly stored: (StoredTask & { readonly queue: string })[];
}

interface Span {
  readonly name: string;
  readonly from: number;
  to: number;
}

/** A history in the shape in which it is judged: lives of tasks, of processes and of faults. One walk over the events. */
export class Lives {
  readonly lives = new Map<string, Life>();
  readonly deaths = new Map<string, number>();
  readonly stops = new Map<string, number>();
  readonly frozen: Span[] = [];
  /** From the moment it began until all was calm again. */
  readonly faults: Span[] = [];
  readonly incarnations: number[] = [];
  /** When the server's time of day was changed. */
  readonly clocks: number[] = [];
  readonly endedAt: number;
  readonly #byId = new Map<string, Life>();
  /** Settlings and lost leases of ids that nobody is known to have started. */
  readonly strays: Event[] = [];

  constructor({ events, final }: History) {
    const inOrder = events.toSorted((a, b) => a.at - b.at);
    this.endedAt = inOrder.at(-1)?.at ?? 0;
    for (const event of inOrder) this.#take(event);
    for (const { name, tasks } of final.queues)
      for (const task of tasks) {
        const life = this.#life(task.k);
        life.ids.add(task.id);
        life.stored.push({ ...task, queue: name });
      }
  }

  ofId(id: string): Life | undefined {
    return this.#byId.get(id);
  }

  /** A fault that was on, or not yet got over, at some moment of that time. */
  faultIn(from: number, to: number): string | undefined {
    return this.faults.find((fault) => fault.from <= to && fault.to >= from)?.name;
  }

  frozenIn(process: string, from: number, to: number): boolean {
    return this.frozen.some((span) => span.name === process && span.from <= to && span.to >= from);
  }

  incarnationIn(from: number, to: number): boolean {
    return this.incarnations.some((at) => at >= from && at <= to);
  }

  #take(event: Event): void {
    switch (event.e) {
      case "invoke":
        this.#life(event.k).invoke = event;
        return;
      case "accepted": {
        const life = this.#life(event.k);
        life.answers.push(event);
        if (event.how === "enqueued" || event.how === "spooled") this.#know(life, event.id);
        return;
      }
      case "rejected":
      case "unknown":
        this.#life(event.k).answers.push(event);
        return;
      case "start": {
        const life = this.#life(event.k);
        this.#know(life, event.id);
        life.runs.push({ ...event });
        return;
      }
      case "finish": {
        const run = this.#life(event.k).runs.findLast((one) => one.run === event.run);
        if (run !== undefined) run.finish = event;
        return;
      }
      case "settled":
      case "leaseLost": {
        const run = this.#runOf(event);
        // What was leased ahead may be given back, or lost, without a start.
        if (run === undefined) this.strays.push(event);
        else if (event.e === "settled") run.settled = event;
        else run.lostAt = event.at;
        return;
      }
      case "process":
        return this.#process(event);
      case "fault":
        return this.#fault(event);
      case "incarnation":
        this.incarnations.push(event.at);
        return;
      case "clock":
        this.clocks.push(event.at);
        return;
      case "memory":
      case "breaker":
      case "alarm":
      case "connects":
        return;
    }
    event satisfies never;
  }

  /**
   * Which run it is of: that of this process. Of two that it has under way at once, for it has lost the task and got it
   * again, the earlier one is lost, and one that has finished is settled.
   */
  #runOf({ e, id, by }: Of<"settled"> | Of<"leaseLost">): Run | undefined {
    const runs = this.#byId.get(id)?.runs.filter((one) => one.by === by) ?? [];
    const isOpen = ({ settled, lostAt }: Run) => settled === undefined && lostAt === undefined;
    return runs.find((one) => isOpen(one) && (e === "leaseLost" || one.finish !== undefined)) ?? runs.at(-1);
  }

  #process({ name, what, at }: Of<"process">): void {
    if (what === "killed") this.deaths.set(name, at);
    if (what === "stopping") this.stops.set(name, at);
    if (what === "frozen") this.frozen.push({ name, from: at, to: Infinity });
    const span = what === "thawed" ? this.frozen.findLast((one) => one.name === name) : undefined;
    if (span !== undefined) span.to = at;
  }

  #fault({ fault, what, at }: Of<"fault">): void {
    if (what === "on") this.faults.push({ name: fault, from: at, to: Infinity });
    const span = this.faults.findLast((one) => one.name === fault);
    if (what === "calm" && span !== undefined) span.to = at;
  }

  #life(k: string): Life {
    let life = this.lives.get(k);
    if (life === undefined) this.lives.set(k, (life = { k, answers: [], ids: new Set(), runs: [], stored: [] }));
    return life;
  }

  #know(life: Life, id: string): void {
    life.ids.add(id);
    this.#byId.set(id, life);
  }
}

/** When a run was over for certain: its handler had returned, or its process was dead. */
export function endOf(run: Run, lives: Lives): number {
  return Math.min(run.finish?.at ?? Infinity, lives.deaths.get(run.by) ?? Infinity);
}
