import type { Confirmation, LeasedTask, LeaseRequest, Settlement, Turn, TurnReply, Working } from "../broker/broker.js";
import type { ResolvedWorkerOptions } from "./options.js";
import { parted } from "./parted.js";
import { ReadyQueues } from "./ready-queues.js";
import { Turns } from "./turns.js";
import type { Trouble, Watch } from "./watch.js";

/** What the exchanger asks of the worker around it. */
export interface Crewing {
  /** Tasks that would start at once. */
  readonly freeSlots: number;
  /** Tasks that may be leased ahead, to wait for a slot. */
  readonly room: number;
  /** Tasks that it holds and may hold: those that run and those that may wait. */
  readonly capacity: number;
  readonly takesSuspect: boolean;
  heldOf(queue: string): number;
}

export interface ExchangerEvents {
  readonly onLeased: (tasks: readonly LeasedTask[]) => void;
  readonly onPaused: (queues: readonly string[]) => void;
  readonly onSettled: (settlements: readonly Settlement[], receipts: readonly Confirmation[]) => void;
  /** There are slots to fill, and nothing was found to fill them. */
  readonly onDry: () => void;
  /** Whether somebody nudges when a task comes, so that to look is but a net. */
  readonly isTold: () => boolean;
}

/** A turn under way holds one of these; client and server work at the same time when there are two. */
interface Lane {
  readonly id: string;
  /** What it asked for. */
  turn: Turn | undefined;
}

/** With fewer tasks a turn, what each turn costs by itself outweighs that client and server work at the same time. */
const twoLanesFrom = 32;
const maxSettlements = 500;
const maxLeased = 200;
/** Where tasks are told, they are looked for this much less often. */
export const toldFactor = 5;

/** Decides when to take a turn with storage, what to settle in it and how much to lease. */
export class Exchanger {
  readonly #options: ResolvedWorkerOptions;
  readonly #crew: Crewing;
  readonly #events: ExchangerEvents;
  readonly #turns: Turns;
  readonly #queues: ReadyQueues;
  readonly #lanes: readonly [Lane, Lane];
  readonly #requestPrefix: string;
  readonly #bounded: readonly { readonly name: string; readonly most: number }[];
  #requests = 0;
  #finished: Settlement[] = [];
  #leasing = false;
  /** The last look found less than asked for: until the next poll or signal there is nothing to look for. */
  #empty = false;
  /** The last look found all that it asked for: there is more, for a turn beside it, too. */
  #plenty = false;
  /** That look was at every queue. */
  #sawAll = false;
  /** Something waits that may not be leased ahead: nothing else is, until there is a slot for it. */
  #heldBack = false;
  /** How often we were told that there may be something: a look that began before one of them proves nothing. */
  #nudges = 0;
  #pollTimer: NodeJS.Timeout | undefined;
  #scheduled = false;
  #unsettled = 0;
  #watchers: (() => void)[] = [];

  constructor(
    broker: Working,
    workerId: string,
    options: ResolvedWorkerOptions,
    crew: Crewing,
    watch: Watch,
    events: ExchangerEvents,
  ) {
    this.#options = options;
    this.#crew = crew;
    this.#events = events;
    this.#turns = new Turns(broker, options.log, watch, {
      onSettled: (settlements, receipts) => this.#confirm(settlements, receipts),
      endedSince: () => this.#takeFinished(),
    });
    this.#queues = new ReadyQueues(options.queues, options.strictPriority);
    this.#requestPrefix = workerId.slice(-12);
    this.#lanes = [lane(`${workerId}:0`), lane(`${workerId}:1`)];
    this.#bounded = options.queues.flatMap(({ name, concurrency: most }) =>
      most === undefined ? [] : [{ name, most }],
    );
  }

  /** Begin to lease. */
  start(): void {
    this.#leasing = true;
    this.#schedule();
  }

  /** Lease no more; settling goes on. */
  stopLeasing(): void {
    this.#leasing = false;
    this.#stopPolling();
  }

  /** There may be something to lease now, in this queue or in any. */
  nudge(queue?: string): void {
    this.#nudges += 1;
    this.#empty = false;
    this.#queues.nudge(queue);
    this.#schedule();
  }

  settle(settlement: Settlement): void {
    this.#finished.push(settlement);
    this.#unsettled += 1;
    this.#schedule();
  }

  /** A turn may have been left out: begin to look anew. */
  restart(): void {
    this.#scheduled = false;
    this.#stopPolling();
    this.nudge();
  }

  /** A slot became free without anything to settle. */
  freed(): void {
    this.#schedule();
    this.#tellChanged();
  }

  /** Every outcome is confirmed. */
  get settled(): boolean {
    return this.#unsettled === 0;
  }

  /** Ended tasks whose outcome storage has not confirmed. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** When storage last answered a turn, Unix ms. */
  get answeredAtMs(): number | undefined {
    return this.#turns.answeredAtMs;
  }

  /** Tries of turns that came to an end; undefined while there is nothing to look for or to settle. */
  get rounds(): number | undefined {
    const looks = this.#leasing && this.#crew.freeSlots > 0;
    return this.#turns.over || (!looks && this.#finished.length === 0) ? undefined : this.#turns.tries;
  }

  /** Since when the broker is closed under it: nothing is leased or settled any more. */
  get closed(): Trouble | undefined {
    return this.#turns.closed;
  }

  /** Why storage refused the last turn, if it did. */
  get refusal(): Error | undefined {
    return this.#turns.refusal;
  }

  /** All settled, no turn under way, and, while leasing, nothing found at the last look; or it has given up. */
  get quiet(): boolean {
    if (this.#turns.over) return true;
    return this.settled && this.#busyLanes.length === 0 && (!this.#leasing || this.#empty);
  }

  /** Quiet, and the last look was at every queue: a wake for one that was left out may still be on its way. */
  get drained(): boolean {
    return this.#turns.over || (this.quiet && this.#sawAll);
  }

  /** Resolves the next time a turn ends or a slot becomes free. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#watchers.push(resolve));
  }

  /** Stop trying: what is not settled runs again when its lease ends. Answers how many those are. */
  giveUp(): number {
    this.stopLeasing();
    this.#turns.giveUp();
    this.#tellChanged();
    return this.#unsettled;
  }

  get #busyLanes(): readonly Lane[] {
    return this.#lanes.filter(({ turn }) => turn !== undefined);
  }

  #schedule(): void {
    if (this.#scheduled || this.#turns.over) return;
    this.#scheduled = true;
    // setImmediate: handlers that end in the same turn of the event loop are settled together.
    setImmediate(() => {
      this.#scheduled = false;
      const { capacity } = this.#crew;
      for (const lane of capacity < twoLanesFrom ? [this.#lanes[0]] : this.#lanes) {
        if (lane.turn !== undefined) continue;
        lane.turn = this.#nextTurn(lane, capacity);
        if (lane.turn !== undefined) void this.#take(lane, lane.turn);
      }
    });
  }

  #nextTurn(lane: Lane, capacity: number): Turn | undefined {
    const underWay = this.#busyLanes.flatMap(({ turn }) => turn?.lease ?? []);
    const full = Math.min(maxLeased, capacity < twoLanesFrom ? capacity : Math.ceil(capacity / this.#lanes.length));
    const { limit, startable } = this.#leasing ? this.#demand(underWay, full) : { limit: 0, startable: 0 };
    // Two that look for the same task would wake each other in vain.
    const looks = limit > 0 && !this.#empty && (this.#busyLanes.length === 0 || this.#plenty);
    if (this.#finished.length === 0 && !looks) return undefined;
    // While a turn is under way a small one waits for it: turns grow with the load, instead of getting more.
    if (this.#busyLanes.length > 0 && this.#finished.length + (looks ? limit : 0) < full) return undefined;
    const settle = this.#takeFinished();
    return { settle, lease: limit > 0 ? this.#leaseRequest(lane, limit, startable, underWay) : undefined };
  }

  #takeFinished(): Settlement[] {
    const [settle, rest] = parted(this.#finished, maxSettlements);
    this.#finished = rest;
    return settle;
  }

  /** What is asked for already counts as if it had come. */
  #demand(underWay: readonly LeaseRequest[], most: number): { limit: number; startable: number } {
    const { freeSlots } = this.#crew;
    const room = this.#heldBack ? 0 : this.#crew.room;
    const asked = sumOf(underWay, ({ limit }) => limit);
    const startable = Math.max(0, freeSlots - sumOf(underWay, (request) => request.startable ?? request.limit));
    return { limit: Math.min(most, Math.max(startable, freeSlots + room - asked)), startable };
  }

  #leaseRequest(
    lane: Lane,
    limit: number,
    startable: number,
    underWay: readonly LeaseRequest[],
  ): LeaseRequest | undefined {
    const queues = this.#queues.inOrder();
    const limits: Record<string, number> = {};
    for (const { name, most } of this.#bounded) {
      const asked = sumOf(underWay, (request) => Math.min(request.limit, request.limits?.[name] ?? 0));
      limits[name] = Math.max(0, most - this.#crew.heldOf(name) - asked);
    }
    this.#requests += 1;
    return {
      workerId: lane.id,
      requestId: `${this.#requestPrefix}.${this.#requests.toString(36)}`,
      queues,
      limit,
      startable,
      ...(this.#bounded.length > 0 && { limits }),
      leaseMs: this.#options.leaseDurationMs,
      suspects: this.#crew.takesSuspect && !underWay.some(({ suspects }) => suspects > 0) ? 1 : 0,
    };
  }

  async #take(lane: Lane, turn: Turn): Promise<void> {
    const nudges = this.#nudges;
    try {
      const reply = await this.#turns.take(turn);
      lane.turn = undefined;
      if (reply !== undefined) this.#digest(turn, reply, nudges === this.#nudges);
      else {
        // No signal tells when storage has changed its mind.
        this.#sawAll = true;
        this.#stopPolling();
        this.#pollLater(this.#options.pollIntervalMs);
      }
    } finally {
      lane.turn = undefined;
      this.#schedule();
      this.#tellChanged();
    }
  }

  #digest({ lease }: Turn, { leased, more, dry, paused }: TurnReply, recent: boolean): void {
    if (lease === undefined) return;
    if (paused.length > 0) this.#events.onPaused(paused);
    if (leased.length > 0) this.#events.onLeased(leased);
    this.#plenty = more || leased.length >= lease.limit;
    this.#heldBack = !more && isHeldBack(lease, leased, [...dry, ...paused]);
    if (!recent) return;
    this.#queues.dry([...dry, ...paused]);
    this.#sawAll = lease.queues.length === this.#options.queues.length;
    if (leased.length < lease.limit && !more) this.#pollLater();
    else this.#empty = false;
  }

  #confirm(settlements: readonly Settlement[], receipts: readonly Confirmation[]): void {
    this.#unsettled -= settlements.length;
    this.#events.onSettled(settlements, receipts);
    this.#tellChanged();
  }

  #stopPolling(): void {
    clearTimeout(this.#pollTimer);
    this.#pollTimer = undefined;
  }

  #pollLater(everyMs = this.#options.pollIntervalMs * (this.#events.isTold() ? toldFactor : 1)): void {
    this.#empty = true;
    if (!this.#leasing) return;
    // By chance up to a quarter sooner, so that many workers do not look in step.
    const waitMs = everyMs * (1 - Math.random() / 4);
    this.#pollTimer ??= setTimeout(() => {
      this.#pollTimer = undefined;
      this.nudge();
    }, waitMs);
    this.#events.onDry();
  }

  #tellChanged(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const resolve of watchers) resolve();
  }
}

const lane = (id: string): Lane => ({ id, turn: undefined });

/** It was asked for tasks ahead, and not all came, though a queue is not at its end. */
function isHeldBack(lease: LeaseRequest, leased: readonly LeasedTask[], over: readonly string[]): boolean {
  const { limit, startable = limit, limits = {}, queues } = lease;
  if (leased.length >= limit || startable >= limit) return false;
  const heldOf = (name: string) => leased.filter((task) => task.lease.queue === name).length;
  return queues.some((name) => !over.includes(name) && heldOf(name) < (limits[name] ?? limit));
}

function sumOf<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((sum, item) => sum + of(item), 0);
}
