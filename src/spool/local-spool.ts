import { setTimeout as sleep } from "node:timers/promises";
import type { EnqueueReceipt } from "../broker/receipt.js";
import type { Incarnation } from "../broker/incarnation.js";
import type { Hearing, Spool, SpooledTask, SpoolOutcome, SpoolStats, SpoolStore } from "../broker/spool.js";
import { Backlog } from "../core/backlog.js";
import { HoldfastError } from "../core/errors.js";
import { type Logger, unfailing } from "../core/log.js";
import type { NewTask } from "../core/message.js";
import { tellBroker } from "../core/telemetry.js";
import { UnderWay } from "../core/under-way.js";
import { Delivery, type SpoolStorage } from "./delivery.js";
import { Leaving } from "./leaving.js";
import { Looks } from "./looks.js";
import { type Answered, ReleaseRule } from "./release.js";
import { defaultPace, type Pace, type Trouble } from "./troubles.js";
import { WaitingLocks } from "./waiting-locks.js";

export interface LocalSpoolOptions {
  /** The store's, for errors. */
  readonly directory: string;
  /** Opened with the first use. */
  readonly openStore: () => Promise<SpoolStore>;
  readonly log: Logger;
  /** Instead of what storage advises. */
  readonly trustAfterMs?: number | undefined;
  /** Where storage keeps snapshots only: release what the last one has. */
  readonly afterSave?: boolean | undefined;
  readonly maxPerSecond?: number | undefined;
  readonly pace?: Pace;
}

/** Redis saves at least once an hour where something has changed, unless it is told otherwise. */
const longestSaveMs = 2 * 3_600_000;
/** Before the first task is accepted, storage has so long to say that it is fit for a spool. */
const lookFirstMs = 250;

/** About what a task takes in memory besides its payload. */
const perTask = 1_024;

/** Tasks, since the spool was made. */
export interface SpoolCounters {
  readonly accepted: number;
  /** Answered for by storage, those that were sent again included. */
  readonly delivered: number;
  /** To be sent again, for storage may have lost them. */
  readonly replayed: number;
  readonly released: number;
  readonly parked: number;
}

/** What a spool that is open works with. */
interface Works {
  readonly store: SpoolStore;
  readonly delivery: Delivery;
  readonly running: Promise<unknown>;
}

/** A broker's spool: accepts into a store on this machine, delivers, and releases by the rule of release.ts. */
export class LocalSpool implements Spool {
  readonly #storage: SpoolStorage;
  readonly #options: LocalSpoolOptions;
  readonly #rule = new ReleaseRule();
  readonly #looks: Looks;
  readonly #locks = new WaitingLocks();
  readonly #undecided = new Backlog();
  readonly #over = new AbortController();
  /** By queue: the sequence of the last task that was accepted or taken over, and how many are being accepted. */
  readonly #accepted = new Map<string, { last: number; underWay: number }>();
  readonly #accepting: UnderWay;
  readonly #counters = { accepted: 0, delivered: 0, replayed: 0, released: 0, parked: 0 };
  #opening: Promise<Works> | undefined;
  #works: Works | undefined;
  #closing: Promise<void> | undefined;
  #persistence: Incarnation["persistence"] | undefined;
  /** How long a task may stay for the sake of replicas. */
  #aloneAfterMs = 0;
  #away = false;
  #looked = false;
  #looking: Promise<void> | undefined;
  readonly #leaving: Leaving;
  #fileProblem: string | undefined;
  #hearing: Hearing | undefined;

  constructor(storage: SpoolStorage, options: LocalSpoolOptions) {
    this.#storage = storage;
    const log = unfailing(options.log);
    this.#options = { ...options, log };
    this.#accepting = new UnderWay(`the spool of ${storage.label}`);
    this.#leaving = new Leaving({
      release: (tasks) => this.#works?.store.release(tasks),
      onReleased: (count) => (this.#counters.released += count),
      onTrouble: (error) => this.#storeTrouble(error),
      onDone: () => this.#works?.delivery.goOn(),
      over: this.#over.signal,
    });
    const { trustAfterMs, afterSave = false } = options;
    const trust = () => ({ afterMs: trustAfterMs ?? storage.trustAfterMs, afterSave });
    this.#looks = new Looks(storage, this.#rule, trust, {
      onReleased: (tasks) => this.#leaving.add(tasks),
      onAgain: (tasks) => this.#sendAgain(tasks),
      onFound: (found) => this.#learn(found),
      onUnfit: (error) => log.error({ broker: storage.label, problem: error.data.problem }, unfitSays),
      onTrouble: (error) =>
        log.error({ broker: storage.label, error }, "the spool's look at storage failed; looking again"),
    });
  }

  async accept(tasks: readonly NewTask[], nowMs: number): Promise<EnqueueReceipt[]> {
    return this.#accepting.run(async () => {
      const queues = new Set(tasks.map(({ message }) => message.queue));
      for (const queue of queues) this.#of(queue).underWay += 1;
      return this.#accept(tasks, nowMs).finally(() => {
        for (const queue of queues) this.#of(queue).underWay -= 1;
      });
    });
  }

  holds(queue: string): boolean {
    const accepted = this.#accepted.get(queue);
    // What cannot leave here holds nothing up: whoever came after it would wait with it, for a right that may never come.
    if (accepted === undefined || this.#looks.unfit !== undefined) return false;
    return accepted.underWay > 0 || this.#works?.delivery.holds(queue, accepted.last) === true;
  }

  async outcomes(ids: readonly string[]): Promise<(SpoolOutcome | undefined)[]> {
    this.#accepting.requireOpen();
    const { store } = await this.#open();
    const kept = await store.outcomes(ids);
    const answered = this.#rule.outcomes(new Set(ids));
    return ids.map((id, n) => answered.get(id) ?? kept[n]);
  }

  async stats(): Promise<SpoolStats> {
    this.#accepting.requireOpen();
    const { store } = await this.#open();
    return store.stats();
  }

  counters(): SpoolCounters {
    return { ...this.#counters };
  }

  nudge(): void {
    if (this.#closing !== undefined) return;
    if (this.#works !== undefined) this.#works.delivery.nudge();
    // Whoever needs the store hears why it cannot be opened.
    else void this.#open().catch(() => undefined);
  }

  tell(hearing: Hearing): void {
    this.#hearing = hearing;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#accepting.end();
    this.#over.abort();
    const works = await this.#opening?.catch(() => undefined);
    this.#looks.watch();
    await works?.running;
    await this.#leaving.end();
    await works?.store.close();
  }

  async #accept(tasks: readonly NewTask[], nowMs: number): Promise<EnqueueReceipt[]> {
    await this.#fitToAccept(tasks);
    // A duplicate of a task that is not accepted after all would be no task at all.
    for (;;) {
      const undecided = tasks.flatMap((task) => this.#locks.undecided(task, nowMs) ?? []);
      if (undecided.length === 0) break;
      await this.#decided(undecided, tasks);
    }
    const fresh: NewTask[] = [];
    const receipts = tasks.map((task): EnqueueReceipt => {
      const holder = this.#locks.holder(task, nowMs);
      if (holder !== undefined) return { status: "duplicate", id: holder };
      this.#locks.add(task, nowMs);
      fresh.push(task);
      return { status: "spooled", id: task.message.id };
    });
    if (fresh.length > 0) {
      const appended = this.#append(fresh, nowMs);
      this.#locks.decidedWith(fresh, appended);
      await appended;
    }
    return receipts;
  }

  /** Whether tasks are in that have locks which these ask for. A disk that hangs decides nothing: memory is to bear that. */
  async #decided(undecided: readonly Promise<unknown>[], tasks: readonly NewTask[]): Promise<void> {
    const bytes = tasks.reduce((sum, { message }) => sum + message.payload.length + perTask, 0);
    if (!this.#undecided.hasRoomFor(bytes)) {
      const problem = `${this.#undecided.bytes} bytes wait for unique tasks before them, and this was not accepted`;
      throw new HoldfastError("SPOOL_FAILED", { directory: this.#options.directory, problem });
    }
    await this.#undecided.hold(bytes, Promise.all(undecided));
  }

  async #append(fresh: readonly NewTask[], nowMs: number): Promise<void> {
    try {
      const { store, delivery } = await this.#open();
      const last = await store.append(fresh, nowMs);
      this.#counters.accepted += fresh.length;
      for (const { message } of fresh) this.#heldTo(message.queue, last);
      delivery.goOn();
    } catch (error) {
      for (const task of fresh) this.#locks.remove(task);
      throw error;
    }
  }

  /** Storage that can never say which data it has should not learn it from a task that lies here for good. */
  async #fitToAccept(tasks: readonly NewTask[]): Promise<void> {
    if (!this.#looked || this.#looks.unfit !== undefined) {
      this.#looking ??= this.#look([...new Set(tasks.map(({ message }) => message.queue))]);
      await this.#looking;
    }
    if (this.#looks.unfit !== undefined) throw this.#looks.unfit;
  }

  /** Storage that does not answer at once is away, and that is what a spool is for. */
  async #look(queues: readonly string[]): Promise<void> {
    await Promise.race([this.#looks.at(queues), sleep(lookFirstMs, undefined, { ref: false })]);
    this.#looked = true;
    this.#looking = undefined;
  }

  #heldMs(): number {
    const { afterSave = false, trustAfterMs = this.#storage.trustAfterMs } = this.#options;
    const saveMs = afterSave && this.#persistence !== "aof" ? longestSaveMs : 0;
    return Math.max(trustAfterMs, this.#aloneAfterMs) + saveMs;
  }

  /** Until that task was sent, nothing of the queue overtakes what is here. */
  #heldTo(queue: string, last: number): void {
    const accepted = this.#of(queue);
    accepted.last = Math.max(accepted.last, last);
  }

  *#waiting(after: number): Generator<string> {
    for (const [queue, { last }] of this.#accepted) if (last > after) yield queue;
  }

  #of(queue: string): { last: number; underWay: number } {
    let accepted = this.#accepted.get(queue);
    if (accepted === undefined) this.#accepted.set(queue, (accepted = { last: 0, underWay: 0 }));
    return accepted;
  }

  /** One that failed is tried again with the next use. */
  #open(): Promise<Works> {
    this.#opening ??= this.#start().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #start(): Promise<Works> {
    const { openStore, pace = defaultPace, maxPerSecond, log } = this.#options;
    const store = await openStore();
    const delivery = new Delivery(
      this.#storage,
      store,
      this.#rule,
      this.#looks,
      {
        pace,
        maxPerSecond,
        heldMs: () => this.#heldMs(),
        waiting: (after) => this.#waiting(after),
        isLeaving: (sequence) => this.#leaving.has(sequence),
        hearing: () => this.#hearing,
      },
      {
        onAnswered: (...answers) => this.#answered(...answers),
        onParked: (task, problem) => this.#parked(task, problem),
        onTrouble: (queue, trouble, error) => this.#trouble(queue, trouble, error),
        onStoreTrouble: (error) => this.#storeTrouble(error),
        onMostHeld: (count) => log.warn({ broker: this.#storage.label, tasks: count }, mostHeldSays),
      },
    );
    store.onAdopted(({ tasks, queues, last }) => {
      for (const queue of queues) this.#heldTo(queue, last);
      log.warn({ broker: this.#storage.label, tasks }, "tasks that a process left behind are delivered from here");
      delivery.goOn();
    });
    store.onUnreadable(({ id, problem }) => this.#tellParked("", id, problem));
    const { signal } = this.#over;
    const running = Promise.all([delivery.run(signal), this.#looks.run(signal)]);
    this.#works = { store, delivery, running };
    return this.#works;
  }

  #answered(tasks: readonly SpooledTask[], receipts: readonly EnqueueReceipt[], counts: boolean): void {
    this.#counters.delivered += tasks.length;
    if (counts) this.#tally(tasks, receipts);
    this.#fileProblem = undefined;
    for (const { task } of tasks) this.#locks.remove(task);
    if (this.#away) this.#options.log.warn({ broker: this.#storage.label }, "storage takes spooled tasks again");
    this.#away = false;
  }

  #tally(tasks: readonly SpooledTask[], receipts: readonly EnqueueReceipt[]): void {
    const { tally, clock } = this.#storage;
    if (tally === undefined) return;
    tally.delivered += tasks.length;
    tally.duplicates += receipts.filter(({ status }) => status === "duplicate").length;
    const oldestMs = tasks.reduce((least, { acceptedAtMs }) => Math.min(least, acceptedAtMs), Number.POSITIVE_INFINITY);
    tally.longestDelayMs = Math.max(tally.longestDelayMs, clock.nowMs() - oldestMs);
  }

  /** Said once, however often it is met: the file is tried again all the time. */
  #storeTrouble(error: unknown): void {
    const problem = String(error);
    if (problem !== this.#fileProblem)
      this.#options.log.error({ error }, "the spool's file makes trouble; trying again");
    this.#fileProblem = problem;
  }

  #trouble(queue: string, trouble: Trouble, error: Error): void {
    const fields = { broker: this.#storage.label, queue, error };
    if (trouble === "failed") this.#options.log.warn(fields, "storage cannot take a spooled task; trying again later");
    else if (!this.#away) this.#options.log.warn(fields, "spooled tasks wait on this machine until storage takes them");
    this.#away ||= trouble === "away";
  }

  #parked({ task }: SpooledTask, problem: string): void {
    this.#locks.remove(task);
    this.#tellParked(task.message.queue, task.message.id, problem);
  }

  #tellParked(queue: string, id: string, problem: string): void {
    const broker = this.#storage.label;
    this.#counters.parked += 1;
    if (this.#storage.tally !== undefined) this.#storage.tally.parked += 1;
    this.#options.log.error({ broker, queue, id, problem }, "a spooled task is parked: it could not be delivered");
    tellBroker({ event: "parked", broker, queue, id, problem });
  }

  #sendAgain(tasks: readonly Answered[]): void {
    this.#counters.replayed += tasks.length;
    const { tally } = this.#storage;
    if (tally !== undefined) {
      tally.replayed += tasks.length;
      tally.mostReplayed = Math.max(tally.mostReplayed, tasks.length);
    }
    const broker = this.#storage.label;
    const says = "storage may have lost what it had taken: spooled tasks are sent again";
    this.#options.log.warn({ broker, tasks: tasks.length }, says);
    tellBroker({ event: "replayed", broker, count: tasks.length });
    this.#works?.delivery.rewind(
      tasks.reduce((least, { sequence }) => Math.min(least, sequence), Number.MAX_SAFE_INTEGER),
    );
  }

  #learn({ persistence, replicas }: Incarnation): void {
    this.#aloneAfterMs = replicas?.aloneAfterMs ?? 0;
    if (persistence === this.#persistence) return;
    this.#persistence = persistence;
    const { log, afterSave = false, trustAfterMs } = this.#options;
    const { trustAfterMs: advisedMs } = this.#storage;
    if (trustAfterMs !== undefined && trustAfterMs < advisedMs) log.warn({ trustAfterMs, advisedMs }, hastySays);
    const fields = { broker: this.#storage.label, persistence };
    if (persistence === "snapshot" && !afterSave) log.warn(fields, snapshotSays);
    if (persistence === "none") log.warn(fields, afterSave ? neverSavedSays : memorySays);
  }
}

const unfitSays =
  "the spool cannot tell whether storage keeps what it takes: nothing is accepted into it, and nothing leaves it";
const mostHeldSays =
  "storage has answered for this many spooled tasks that may not leave the spool yet, for lack of a replica that has them, " +
  "say: the others wait until these are fewer";
const hastySays =
  "trustAfter is shorter than this Redis may take to lose what it acknowledged: a failover or power cut can cost tasks";
const snapshotSays =
  "Redis saves snapshots only: a restart loses what came after the last one, and the spool has let go of it by then. " +
  "Turn on appendonly, or set afterSave to keep tasks in the spool until a snapshot has them";
const memorySays =
  "Redis saves nothing: a restart loses all tasks, and the spool has let go of them by then. Turn on appendonly";
const neverSavedSays = "Redis saves nothing by itself: with afterSave tasks stay in the spool until somebody saves";
