import { setTimeout as sleep } from "node:timers/promises";
import type { EnqueueReceipt, Looking, Producing } from "../broker/broker.js";
import type { Identifying } from "../broker/incarnation.js";
import type { Hearing, SpooledTask, SpoolStore } from "../broker/spool.js";
import { HoldfastError } from "../core/errors.js";
import { groupedBy } from "../core/grouped-by.js";
import { Semaphore } from "../core/semaphore.js";
import { Doorbell } from "./doorbell.js";
import type { Looks } from "./looks.js";
import { prepared } from "./prepared.js";
import type { ReleaseRule } from "./release.js";
import { type Aside, type Lane, type Pace, type Trouble, Troubles } from "./troubles.js";

/** As much of a broker as delivery needs. */
export type SpoolStorage = Omit<Producing, "ping" | "probe"> & Identifying & Pick<Looking, "find">;

/** Tasks in one step. */
const most = 512;
/** Of them for a storage that is in trouble. */
const mostInTrouble = 32;
/** How long storage has for one step. */
const withinMs = 2_000;
/** A queue that is slower than others of the same step goes on by itself. */
const patienceMs = 250;
/** Of hundreds of queues that are late each reads all that passed by: memory has few of these at a time, and the store. */
const lateAtATime = 8;
/** So many may be answered and not released; then delivery waits, for each takes memory. */
const mostHeld = 200_000;
/** After trouble with the spool's own file. */
const storeTroubleMs = 1_000;

export interface DeliveryOptions {
  readonly maxPerSecond: number | undefined;
  readonly pace: Pace;
  /** How long at most what is answered is held, ms. */
  readonly heldMs: () => number;
  /** The queues that have tasks behind this sequence, as far as is known. */
  readonly waiting: (after: number) => Iterable<string>;
  /** It was released, and the store does not say so yet: a read that was under way may still tell of it. */
  readonly isLeaving: (sequence: number) => boolean;
  readonly hearing: () => Hearing | undefined;
}

export interface DeliveryEvents {
  /** `counts`: the data that took them are those that there are; else they are sent again. */
  onAnswered(tasks: readonly SpooledTask[], receipts: readonly EnqueueReceipt[], counts: boolean): void;
  onParked(task: SpooledTask, problem: string): void;
  onTrouble(queue: string, trouble: Trouble, error: Error): void;
  onStoreTrouble(error: unknown): void;
  /** So many are answered and not released that delivery waits; told once until they are fewer by half. */
  onMostHeld(tasks: number): void;
}

type Put = { readonly how: "answered" } | { readonly how: Trouble; readonly error: Error };

/**
 * Brings spooled tasks to storage, in order. A cursor walks over the store; what is answered for goes to the release
 * rule, which may send the cursor back. A queue that storage does not take from is left behind, its first task alone is
 * tried again, and with that the cursor comes back for the others.
 */
export class Delivery {
  readonly #storage: SpoolStorage;
  readonly #store: SpoolStore;
  readonly #rule: ReleaseRule;
  readonly #looks: Looks;
  readonly #options: DeliveryOptions;
  readonly #events: DeliveryEvents;
  readonly #troubles: Troubles;
  readonly #bell = new Doorbell();
  /** Queues that a step is sending to. */
  readonly #sending = new Set<string>();
  readonly #alone = new Set<Promise<void>>();
  readonly #lateReads = new Semaphore(lateAtATime);
  /** All up to here have been looked at. */
  #cursor = 0;
  /** After an outage few are sent at first. */
  #size = most;
  #pausedUntilMs = 0;
  #toldMostHeld = false;
  #over = false;

  constructor(
    storage: SpoolStorage,
    store: SpoolStore,
    rule: ReleaseRule,
    looks: Looks,
    options: DeliveryOptions,
    events: DeliveryEvents,
  ) {
    this.#storage = storage;
    this.#store = store;
    this.#rule = rule;
    this.#looks = looks;
    this.#options = options;
    this.#events = events;
    this.#troubles = new Troubles(options.pace);
  }

  /** Whether tasks of this queue, of which the last accepted has this sequence, wait to be sent. */
  holds(queue: string, last: number): boolean {
    return last > this.#cursor || this.#sending.has(queue) || this.#troubles.lane(queue) !== undefined;
  }

  /** There are more tasks in the store, or fewer in the rule. */
  goOn(): void {
    this.#bell.ring();
  }

  nudge(): void {
    this.#troubles.hasten();
    this.#bell.ring();
  }

  /** Go back: from this task on some are to be sent again. */
  rewind(sequence: number): void {
    this.#cursor = Math.min(this.#cursor, sequence - 1);
    this.#troubles.rewind(sequence);
    this.#bell.ring();
  }

  /** Resolves when the signal has aborted, and what was under way has ended. */
  async run(signal: AbortSignal): Promise<void> {
    const end = () => {
      this.#over = true;
      this.#bell.ring();
    };
    signal.addEventListener("abort", end, { once: true });
    while (!signal.aborted) {
      let waitMs: number;
      try {
        waitMs = await this.#step(signal);
      } catch (error) {
        this.#events.onStoreTrouble(error);
        waitMs = storeTroubleMs;
      }
      if (waitMs > 0 && !signal.aborted) await this.#bell.wait(waitMs);
    }
    await Promise.allSettled(this.#alone);
  }

  /** Answers how long to wait before the next step, ms. */
  async #step(signal: AbortSignal): Promise<number> {
    const nowMs = performance.now();
    for (const lane of this.#troubles.dueLanes(nowMs)) this.#beside(lane.queue, lane.first, this.#probe(lane));
    for (const aside of this.#troubles.dueAside(nowMs)) this.#tryAside(aside);
    const dueInMs = () => Math.max(1, this.#troubles.nextMs() - performance.now());
    if (this.#isMostHeld() || this.#allInTrouble()) return dueInMs();
    if (this.#pausedUntilMs > nowMs) return Math.min(this.#pausedUntilMs - nowMs, dueInMs());

    const from = this.#cursor;
    const rows = await this.#store.read(from, most);
    if (signal.aborted || this.#cursor < from) return 0;
    if (rows.length === 0) return dueInMs();
    const chosen = this.#choose(rows);
    if (chosen.length > 0) await this.#send(chosen);
    return 0;
  }

  #isMostHeld(): boolean {
    const { size } = this.#rule;
    if (size < mostHeld) {
      this.#toldMostHeld &&= size > mostHeld / 2;
      return false;
    }
    if (!this.#toldMostHeld) this.#events.onMostHeld(size);
    this.#toldMostHeld = true;
    return true;
  }

  /** Nothing is left but queues that wait for storage: the cursor would walk over all they hold, and come back for it. */
  #allInTrouble(): boolean {
    const waiting = [...this.#options.waiting(this.#cursor)];
    return waiting.length > 0 && waiting.every((queue) => this.#troubles.lane(queue) !== undefined);
  }

  /** The first of them that may be sent; the cursor moves behind them. */
  #choose(rows: readonly SpooledTask[]): SpooledTask[] {
    const chosen: SpooledTask[] = [];
    const perStep = Math.max(1, Math.floor((this.#options.maxPerSecond ?? Number.POSITIVE_INFINITY) / 10));
    for (const row of rows) {
      if (!this.#isSkipped(row)) {
        const { queue } = row.task.message;
        const { length } = chosen;
        if (length >= Math.min(this.#size, perStep) || (length >= mostInTrouble && length >= this.#mostOf(queue)))
          break;
        chosen.push(row);
        this.#sending.add(queue);
      }
      this.#cursor = row.sequence;
    }
    return chosen;
  }

  #mostOf(queue: string): number {
    return this.#options.hearing()?.isDegraded(queue) === true ? mostInTrouble : most;
  }

  #isSkipped(row: SpooledTask): boolean {
    return this.#isDealtWith(row) || this.#troubles.lane(row.task.message.queue) !== undefined;
  }

  #isDealtWith({ sequence }: SpooledTask): boolean {
    return (
      this.#rule.holds(sequence) || this.#options.isLeaving(sequence) || this.#troubles.aside(sequence) !== undefined
    );
  }

  /** Where it cannot be said what became of them, they come again. */
  async #send(chosen: readonly SpooledTask[]): Promise<void> {
    const parts = groupedBy(chosen, ({ task }) => task.message.queue);
    try {
      await this.#sendParts(chosen, parts);
    } catch (error) {
      this.#cursor = Math.min(this.#cursor, chosen[0]!.sequence - 1);
      throw error;
    } finally {
      for (const queue of parts.keys()) this.#sending.delete(queue);
    }
  }

  /** Each queue's by themselves: trouble with one is none of the others'. */
  async #sendParts(chosen: readonly SpooledTask[], parts: ReadonlyMap<string, readonly SpooledTask[]>): Promise<void> {
    const unseen = [...parts.keys()].filter((queue) => this.#rule.eraOf(queue) === undefined);
    if (unseen.length > 0) await this.#looks.at(unseen);
    const { maxPerSecond } = this.#options;
    if (maxPerSecond !== undefined) this.#pausedUntilMs = performance.now() + (chosen.length / maxPerSecond) * 1_000;

    const open = new Map<string, Promise<boolean>>();
    let allWell = true;
    for (const [queue, rows] of parts) {
      const sent = this.#deliver(queue, rows).then((well) => {
        allWell &&= well;
        open.delete(queue);
        return well;
      });
      open.set(queue, sent);
    }
    const all = Promise.all(open.values());
    const first = Promise.race(open.values());
    await Promise.race([all, first.then(() => sleep(patienceMs, undefined, { ref: false }))]);
    for (const [queue, sent] of open) {
      const [row] = parts.get(queue)!;
      this.#beside(queue, row!.sequence, this.#late(queue, row!.sequence, sent));
    }
    this.#size = allWell ? Math.min(most, this.#size * 8) : 1;
  }

  /** Goes on while the steps do: meanwhile nothing else of its queue is sent. */
  #beside(queue: string, first: number, work: Promise<void>): void {
    this.#troubles.busy(queue, first, this.#cursor + 1);
    const done = work
      .catch((error: unknown) => {
        this.#events.onStoreTrouble(error);
        this.#halt(queue, first, "away");
      })
      .finally(() => {
        this.#alone.delete(done);
        this.#bell.ring();
      });
    this.#alone.add(done);
  }

  /**
   * The others are not to wait for it again, nor to be read again for its sake: it has a cursor of its own until that has
   * caught up with the other one.
   */
  async #late(queue: string, first: number, sent: Promise<boolean>): Promise<void> {
    for (let well = await sent; well;) {
      const from = this.#troubles.lane(queue)?.from;
      if (from === undefined || from > this.#cursor || !this.#mayGoBeside()) return this.#resume(queue, first);
      // oxlint-disable-next-line no-await-in-loop -- in order
      const read = await this.#lateReads.run(() => this.#store.read(from - 1, this.#mostOf(queue)));
      const passed = read.filter(({ sequence }) => sequence <= this.#cursor);
      const rows = passed.filter((row) => row.task.message.queue === queue && !this.#isDealtWith(row));
      if (!this.#troubles.goesOn(queue, rows[0]?.sequence ?? from, from, passed.at(-1)?.sequence ?? this.#cursor))
        continue;
      // oxlint-disable-next-line no-await-in-loop -- as above
      well = rows.length === 0 || (await this.#deliver(queue, rows));
    }
  }

  /** A limit is kept by the steps. */
  #mayGoBeside(): boolean {
    return !this.#over && this.#options.maxPerSecond === undefined && this.#rule.size < mostHeld;
  }

  /** The first task of a queue in trouble, alone. */
  async #probe({ queue, first, trouble }: Lane): Promise<void> {
    const [row] = await this.#store.read(first - 1, 1);
    // It may have left the spool otherwise.
    if (row?.sequence !== first || this.#rule.holds(first) || this.#options.isLeaving(first))
      return this.#resume(queue, first);
    if (this.#rule.eraOf(queue) === undefined) await this.#looks.at([queue]);
    const well = await this.#deliver(queue, [row]);
    if (!well) return undefined;
    if (trouble === "away") this.#troubles.hasten();
    this.#size = Math.max(this.#size, 8);
    return this.#resume(queue, first);
  }

  /** The cursor may have been sent back while this task was under way: it will pass by what the queue has from there on. */
  #halt(queue: string, first: number, trouble: Trouble): void {
    this.#troubles.stop(queue, first, this.#cursor + 1, trouble, performance.now());
  }

  #resume(queue: string, first: number): void {
    this.rewind(this.#troubles.resume(queue, first));
  }

  /** One that hangs holds up neither the steps nor another. */
  #tryAside(aside: Aside): void {
    const { queue, sequence } = aside;
    this.#troubles.busyAside(aside);
    const done = this.#again(aside)
      .catch((error: unknown) => {
        this.#events.onStoreTrouble(error);
        this.#troubles.setAside(queue, sequence, performance.now());
      })
      .finally(() => {
        this.#alone.delete(done);
        this.#bell.ring();
      });
    this.#alone.add(done);
  }

  /** One that storage could not take, once more. */
  async #again({ queue, sequence }: Aside): Promise<void> {
    const [row] = await this.#store.read(sequence - 1, 1);
    if (row?.sequence !== sequence) return this.#troubles.settle(sequence);
    const put = await this.#put(queue, [row]);
    if (put.how === "answered") return this.#troubles.settle(sequence);
    if (put.how === "failed") await this.#setAside(queue, row, put.error);
    else this.#troubles.setAside(queue, sequence, performance.now());
    return undefined;
  }

  /** True when all are answered for, or out of the way. Never rejects. */
  async #deliver(queue: string, rows: readonly SpooledTask[]): Promise<boolean> {
    try {
      return await this.#tryDeliver(queue, rows);
    } catch (error) {
      this.#events.onStoreTrouble(error);
      this.#halt(queue, rows[0]!.sequence, "away");
      return false;
    }
  }

  /** @throws what the store throws */
  async #tryDeliver(queue: string, rows: readonly SpooledTask[]): Promise<boolean> {
    const put = await this.#put(queue, rows);
    if (put.how === "answered") return true;
    if (put.how === "away" || rows.length === 1) return this.#stop(queue, rows[0]!, put);
    // One of them may spoil it for the others.
    const puts = await Promise.all(rows.map((row) => this.#put(queue, [row])));
    for (const [n, one] of puts.entries()) {
      if (one.how !== "answered" && !(await this.#stop(queue, rows[n]!, one))) return false;
    }
    return true;
  }

  /** True when the queue goes on, without this task. */
  async #stop(queue: string, row: SpooledTask, { how, error }: Exclude<Put, { how: "answered" }>): Promise<boolean> {
    this.#events.onTrouble(queue, how, error);
    if (how === "failed" && (await this.#setAside(queue, row, error))) return true;
    this.#halt(queue, row.sequence, how);
    const lane = this.#troubles.lane(queue)!;
    if (how !== "failed" || !this.#troubles.isHopeless(lane)) return false;
    await this.#park(row, error);
    this.#resume(queue, row.sequence);
    return true;
  }

  /** False where the queue is to wait as a whole. */
  async #setAside(queue: string, row: SpooledTask, error: Error): Promise<boolean> {
    const nowMs = performance.now();
    if (!this.#troubles.setAside(queue, row.sequence, nowMs)) return false;
    const aside = this.#troubles.aside(row.sequence);
    if (aside !== undefined && this.#troubles.isHopeless(aside)) await this.#park(row, error);
    return true;
  }

  async #park(row: SpooledTask, error: Error): Promise<void> {
    const { sequence, task } = row;
    const problem = error.message.slice(0, 500);
    await this.#store.release([{ sequence, outcome: { status: "parked", id: task.message.id, problem } }]);
    this.#troubles.settle(sequence);
    this.#events.onParked(row, problem);
  }

  async #put(queue: string, rows: readonly SpooledTask[]): Promise<Put> {
    const era = this.#rule.eraOf(queue);
    const hearing = this.#options.hearing();
    if (era === undefined) {
      hearing?.doubt(queue);
      return { how: "away", error: new Error("storage does not tell which data it has") };
    }
    const nowMs = this.#storage.clock.nowMs();
    const heldMs = this.#options.heldMs();
    let receipts: EnqueueReceipt[];
    try {
      const tasks = rows.map((row) => prepared(row, nowMs, heldMs));
      const send = () => this.#storage.enqueue(tasks, nowMs, withinMs);
      receipts = await (hearing?.call(queue, rows.length, send) ?? send());
      receipts = await Promise.all(receipts.map((receipt, n) => this.#verified(receipt, rows[n]!)));
    } catch (error) {
      return { how: HoldfastError.is(error, "BROKER_FAILED") ? "failed" : "away", error: error as Error };
    }
    const atMs = performance.now();
    const storageMs = this.#storage.clock.nowMs();
    const answered = rows.map(({ sequence, task }, n) => {
      return { sequence, id: task.message.id, outcome: receipts[n]!, atMs, storageMs };
    });
    const counts = this.#rule.answered(queue, era, answered);
    this.#events.onAnswered(rows, receipts, counts);
    if (counts) this.#looks.watch();
    else this.rewind(rows[0]!.sequence);
    return { how: "answered" };
  }

  /** An id of the caller's own that is there may be this very task, which has come before, and has changed since. */
  async #verified(receipt: EnqueueReceipt, { task }: SpooledTask): Promise<EnqueueReceipt> {
    if (receipt.status !== "idTaken") return receipt;
    const { queue, id, type, payload } = task.message;
    const [found] = await this.#storage.find([{ queue, id }]);
    const same = found?.message?.type === type && Buffer.compare(found.message.payload, payload) === 0;
    return same ? { status: "enqueued", id, state: found.state } : receipt;
  }
}
