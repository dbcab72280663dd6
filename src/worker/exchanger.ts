import type {
  LeasedTask,
  LeaseRequest,
  Settlement,
  SettleReceipt,
  Turn,
  TurnReply,
  Working,
} from "../broker/broker.js";
import { HoldfastError } from "../core/errors.js";
import { pause } from "../core/loop.js";
import { queueOrder } from "../core/queues.js";
import type { ResolvedWorkerOptions } from "./options.js";

/** What the exchanger asks of the worker around it. */
export interface Crewing {
  readonly freeSlots: number;
  readonly takesSuspect: boolean;
}

export interface ExchangerEvents {
  readonly onLeased: (tasks: readonly LeasedTask[]) => void;
  readonly onSettled: (settlements: readonly Settlement[], receipts: readonly SettleReceipt[]) => void;
  /** There are slots to fill, and nothing was found to fill them. */
  readonly onDry: () => void;
  /** Whether somebody nudges when a task comes, so that to look is but a net. */
  readonly isTold: () => boolean;
}

/** A turn under way holds one of these; client and server work at the same time when there are two. */
interface Lane {
  readonly id: string;
  busy: boolean;
}

/** With fewer tasks a turn, what each turn costs by itself outweighs that client and server work at the same time. */
const twoLanesFrom = 32;
const maxSettlements = 500;
const maxLeased = 200;
const firstPauseMs = 50;
const longestPauseMs = 1_000;
/** Where tasks are told, they are looked for this much less often. */
const toldFactor = 5;

/**
 * Keeps the worker's turns with storage going: each settles what has finished and leases for the slots that are free.
 * A turn that did not get through is sent again, unchanged, until it is answered: an outcome is never dropped.
 */
export class Exchanger {
  readonly #broker: Working;
  readonly #options: ResolvedWorkerOptions;
  readonly #crew: Crewing;
  readonly #events: ExchangerEvents;
  readonly #lanes: readonly Lane[];
  readonly #turnLimit: number;
  readonly #requestPrefix: string;
  readonly #quit = new AbortController();
  #requests = 0;
  #finished: Settlement[] = [];
  #leasing = false;
  /** Slots asked for by turns under way. */
  #reserved = 0;
  #suspectAsked = false;
  /** The last look found less than asked for: until the next poll there is nothing to look for. */
  #empty = false;
  /** How often we were told that there may be something: a look that began before one of them proves nothing. */
  #nudges = 0;
  #pollTimer: NodeJS.Timeout | undefined;
  #scheduled = false;
  /** Ended tasks whose outcome storage has not confirmed. */
  #unsettled = 0;
  #refusal: Error | undefined;
  #watchers: (() => void)[] = [];

  constructor(
    broker: Working,
    workerId: string,
    options: ResolvedWorkerOptions,
    crew: Crewing,
    events: ExchangerEvents,
  ) {
    this.#broker = broker;
    this.#options = options;
    this.#crew = crew;
    this.#events = events;
    this.#requestPrefix = workerId.slice(-12);
    const laneCount = options.concurrency < twoLanesFrom ? 1 : 2;
    this.#lanes = Array.from({ length: laneCount }, (_, index) => ({ id: `${workerId}:${index}`, busy: false }));
    this.#turnLimit = Math.min(maxLeased, Math.ceil(options.concurrency / laneCount));
  }

  /** Begin to lease. */
  start(): void {
    this.#leasing = true;
    this.#schedule();
  }

  /** Lease no more; settling goes on. */
  stopLeasing(): void {
    this.#leasing = false;
    clearTimeout(this.#pollTimer);
  }

  /** There may be something to lease now. */
  nudge(): void {
    this.#nudges += 1;
    this.#empty = false;
    this.#schedule();
  }

  settle(settlement: Settlement): void {
    this.#finished.push(settlement);
    this.#unsettled += 1;
    this.#schedule();
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

  /** Why storage refused the last turn, if it did. */
  get refusal(): Error | undefined {
    return this.#refusal;
  }

  /** All settled, no turn under way, and, while leasing, nothing found at the last look; or it has given up. */
  get quiet(): boolean {
    if (this.#quit.signal.aborted) return true;
    return this.settled && this.#lanes.every((lane) => !lane.busy) && (!this.#leasing || this.#empty);
  }

  /** Resolves the next time a turn ends or a slot becomes free. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#watchers.push(resolve));
  }

  /** Stop trying: what is not settled runs again when its lease ends. Answers how many those are. */
  giveUp(): number {
    this.stopLeasing();
    this.#quit.abort();
    this.#tellChanged();
    return this.#unsettled;
  }

  #schedule(): void {
    if (this.#scheduled || this.#quit.signal.aborted) return;
    this.#scheduled = true;
    // setImmediate: handlers that end in the same turn of the event loop are settled together.
    setImmediate(() => {
      this.#scheduled = false;
      for (const lane of this.#lanes) {
        if (lane.busy) continue;
        const turn = this.#nextTurn(lane);
        if (turn !== undefined) void this.#take(lane, turn);
      }
    });
  }

  #nextTurn(lane: Lane): Turn | undefined {
    const limit = this.#leasing ? Math.min(this.#turnLimit, this.#crew.freeSlots - this.#reserved) : 0;
    const looks = limit > 0 && !this.#empty;
    if (this.#finished.length === 0 && !looks) return undefined;
    // While a turn is under way a small one waits for it: turns grow with the load, instead of getting more.
    const otherBusy = this.#lanes.some((other) => other.busy);
    if (otherBusy && this.#finished.length + (looks ? limit : 0) < this.#turnLimit) return undefined;
    const settle = this.#finished.splice(0, maxSettlements);
    return { settle, lease: limit > 0 ? this.#leaseRequest(lane, limit) : undefined };
  }

  #leaseRequest(lane: Lane, limit: number): LeaseRequest {
    const suspects = this.#crew.takesSuspect && !this.#suspectAsked ? 1 : 0;
    if (suspects === 1) this.#suspectAsked = true;
    this.#reserved += limit;
    this.#requests += 1;
    return {
      workerId: lane.id,
      requestId: `${this.#requestPrefix}.${this.#requests.toString(36)}`,
      queues: queueOrder(this.#options.queues, this.#options.strictPriority, Math.random),
      limit,
      leaseMs: this.#options.leaseDurationMs,
      suspects,
    };
  }

  async #take(lane: Lane, turn: Turn): Promise<void> {
    lane.busy = true;
    const nudges = this.#nudges;
    try {
      const reply = await this.#answered(turn);
      this.#unreserve(turn);
      if (reply !== undefined) this.#digest(turn, reply, nudges === this.#nudges);
    } finally {
      lane.busy = false;
      this.#schedule();
      this.#tellChanged();
    }
  }

  #unreserve({ lease }: Turn): void {
    if (lease === undefined) return;
    this.#reserved -= lease.limit;
    if (lease.suspects > 0) this.#suspectAsked = false;
  }

  #digest(turn: Turn, reply: TurnReply, recent: boolean): void {
    this.#confirm(turn.settle, reply.settled);
    if (turn.lease === undefined) return;
    if (reply.leased.length > 0) this.#events.onLeased(reply.leased);
    if (reply.leased.length < turn.lease.limit && !reply.more && recent) this.#pollLater();
  }

  #confirm(settlements: readonly Settlement[], receipts: readonly SettleReceipt[]): void {
    if (settlements.length === 0) return;
    this.#unsettled -= settlements.length;
    this.#events.onSettled(settlements, receipts);
  }

  #pollLater(): void {
    this.#empty = true;
    clearTimeout(this.#pollTimer);
    if (!this.#leasing) return;
    // By chance up to a quarter sooner, so that many workers do not look in step.
    const everyMs = this.#options.pollIntervalMs * (this.#events.isTold() ? toldFactor : 1);
    const waitMs = everyMs * (1 - Math.random() / 4);
    this.#pollTimer = setTimeout(() => this.nudge(), waitMs);
    this.#events.onDry();
  }

  /** The reply, or `undefined` when storage refuses the turn for good and its parts are seen to one by one. */
  async #answered(turn: Turn): Promise<TurnReply | undefined> {
    let unsure = false;
    for (let pauseMs = firstPauseMs; !this.#quit.signal.aborted; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      try {
        const reply = await this.#broker.exchange(turn, this.#broker.clock.nowMs());
        this.#refusal = undefined;
        return unsure ? { ...reply, settled: reply.settled.map(() => "settled") } : reply;
      } catch (error) {
        if (HoldfastError.is(error, "CLOSED")) {
          this.#options.log.error({ error }, "the broker was closed under a running worker: stop the worker first");
          this.giveUp();
          break;
        }
        if (HoldfastError.is(error, "BROKER_UNAVAILABLE")) {
          // After an unknown outcome `leaseLost` would mean no more than: it was carried out the first time.
          unsure ||= error.data.outcome === "unknown";
        } else if (HoldfastError.is(error, "BROKER_INCOMPATIBLE")) {
          // It was fit when the worker started: a password was changed, say. What is to be settled waits for it.
          this.#options.log.error({ error }, `storage cannot be used any more; trying again in ${pauseMs} ms`);
        } else {
          this.#refusal = error instanceof Error ? error : new Error(String(error));
          this.#options.log.error({ error }, "storage refused a turn; its settlements are tried again queue by queue");
          for (const part of byQueue(turn.settle)) void this.#insist(part);
          this.#pollLater();
          return undefined;
        }
      }
      await pause(pauseMs * (0.75 + Math.random() / 4), this.#quit.signal);
    }
    return undefined;
  }

  /**
   * One queue's settlements alone, until they are through: trouble in one queue must not hold up the others, nor one
   * settlement its neighbours. The turn that was refused may have carried some of them out, so `leaseLost` means done.
   */
  async #insist(settle: readonly Settlement[]): Promise<void> {
    for (let pauseMs = longestPauseMs; !this.#quit.signal.aborted; pauseMs = Math.min(pauseMs * 2, 30_000)) {
      try {
        await this.#broker.exchange({ settle }, this.#broker.clock.nowMs());
        this.#confirm(
          settle,
          settle.map(() => "settled"),
        );
        this.#tellChanged();
        return;
      } catch (error) {
        const { queue } = settle[0]!.task.lease;
        this.#options.log.warn(
          { queue, tasks: settle.length, error },
          `settling failed; trying again in ${pauseMs} ms`,
        );
        if (settle.length > 1 && !HoldfastError.is(error, "BROKER_UNAVAILABLE")) {
          const middle = Math.ceil(settle.length / 2);
          void this.#insist(settle.slice(0, middle));
          void this.#insist(settle.slice(middle));
          return;
        }
      }
      await pause(pauseMs, this.#quit.signal);
    }
  }

  #tellChanged(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const resolve of watchers) resolve();
  }
}

function byQueue(settlements: readonly Settlement[]): Settlement[][] {
  const parts = new Map<string, Settlement[]>();
  for (const settlement of settlements) {
    const { queue } = settlement.task.lease;
    const part = parts.get(queue);
    if (part === undefined) parts.set(queue, [settlement]);
    else part.push(settlement);
  }
  return [...parts.values()];
}
