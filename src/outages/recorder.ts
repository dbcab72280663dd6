import { hostname } from "node:os";
import {
  changeKinds,
  type OutageChange,
  type OutageRecord,
  type OutageRecorder,
  type OutageSource,
  type OutageStore,
  type Tallied,
} from "../broker/outage.js";
import { HoldfastError } from "../core/errors.js";
import { newId } from "../core/ids.js";
import { Samples } from "./samples.js";

/** So often a record is brought up to date while something happens. */
const everyMs = 1_000;
/** A failure so soon after an answer belongs to the same outage: a client that holds back pings every 6.5 s. */
const calmMs = 10_000;
/** Afterwards tasks are delivered, and leases end that were lost: for so long the record goes on. */
const settleMs = 60_000;
const longestSettleMs = 900_000;
/** What was over sooner and harmed nothing is not written down. */
const shortestMs = 1_000;
/** An append-only file may lack so much after a power cut. */
const unsyncedMs = 2_000;

interface Open {
  readonly id: string;
  readonly beganAtMs: number;
  readonly problem: string;
  readonly before: Tallied;
  failedAtMs: number;
  endedAtMs: number | undefined;
  /** When storage answered again. */
  after: Tallied | undefined;
  change: OutageChange | undefined;
  /** As it was written last. */
  written: string;
}

/**
 * Writes down the outages that one process sees: into its spool's directory, where it has one, and into storage once that
 * is back. Costs a comparison for each call while all is well.
 */
export class ProcessOutages implements OutageRecorder {
  readonly #source: OutageSource;
  readonly #local: OutageStore | undefined;
  readonly #samples = new Samples();
  #open: Open | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #toldOthers = false;
  /** A call to a node that is silent may fail later still: whatever it tells then begins no outage, and no timer. */
  #closed = false;

  constructor(source: OutageSource, local: OutageStore | undefined) {
    this.#source = source;
    this.#local = local;
  }

  answered(): void {
    if (this.#closed) return;
    const nowMs = this.#source.clock.nowMs();
    this.#samples.take(nowMs, this.#source.tally);
    const open = this.#open;
    if (open !== undefined && open.endedAtMs === undefined) {
      open.endedAtMs = nowMs;
      open.after = { ...this.#source.tally };
    }
    if (this.#toldOthers) return;
    this.#toldOthers = true;
    if (this.#local !== undefined) this.#writing = this.#tellOfOthers();
  }

  failed(error: unknown): void {
    if (this.#closed || !HoldfastError.is(error, "BROKER_UNAVAILABLE")) return;
    const nowMs = this.#source.clock.nowMs();
    const present = this.#open;
    if (present?.endedAtMs !== undefined && nowMs > present.failedAtMs + calmMs && nowMs > present.endedAtMs + calmMs)
      this.#finish(present);
    const open = (this.#open ??= this.#begin(nowMs, error.data.problem));
    open.failedAtMs = nowMs;
    open.endedAtMs = undefined;
    open.after = undefined;
  }

  changed(change: Parameters<OutageRecorder["changed"]>[0]): void {
    if (this.#closed) return;
    const { kind, keptUntilMs } = change;
    const nowMs = this.#source.clock.nowMs();
    const { tally } = this.#source;
    const open = (this.#open ??= this.#begin(nowMs, ""));
    if (open.change !== undefined && changeKinds.indexOf(open.change.kind) > changeKinds.indexOf(kind)) return;
    open.endedAtMs ??= open.problem === "" ? nowMs : undefined;
    // What was acknowledged since it is back is on the new data.
    const then = open.problem === "" ? tally : open.before;
    const kept = this.#samples.before(keptUntilMs);
    const last = this.#samples.before(open.beganAtMs - unsyncedMs);
    open.change = {
      ...change,
      atMs: nowMs,
      acknowledged: then.acknowledged - kept.acknowledged,
      acknowledgedLast: then.acknowledged - Math.max(kept.acknowledged, last.acknowledged),
      // What spools send again of it is seen later.
      sentAgain: then.delivered - kept.delivered,
      settled: then.settled - kept.settled,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#open !== undefined) this.#finish(this.#open);
    await this.#writing;
  }

  #begin(nowMs: number, problem: string): Open {
    const { tally } = this.#source;
    tally.longestDelayMs = 0;
    tally.mostReplayed = 0;
    this.#timer = setInterval(() => this.#look(), everyMs).unref();
    return {
      id: newId(nowMs),
      beganAtMs: nowMs,
      problem,
      before: { ...tally },
      failedAtMs: nowMs,
      endedAtMs: undefined,
      after: undefined,
      change: undefined,
      written: "",
    };
  }

  #look(): void {
    const open = this.#open!;
    const record = this.#record(open);
    const quietMs = this.#source.clock.nowMs() - (open.endedAtMs ?? Number.POSITIVE_INFINITY);
    const settled = record.counts.waiting === 0 && quietMs > settleMs;
    if (settled || quietMs > longestSettleMs) this.#finish(open);
    else this.#write(open, record);
  }

  #finish(open: Open): void {
    clearInterval(this.#timer);
    this.#open = undefined;
    this.#write(open, this.#record(open));
  }

  #record(open: Open): OutageRecord {
    const { label, tally, clock } = this.#source;
    const { id, beganAtMs, endedAtMs, problem, before, after = tally, change } = open;
    const since = (name: keyof Tallied, until: Readonly<Tallied> = tally) => until[name] - before[name];
    const producer = (name: keyof Tallied) => since(name, after);
    // What lay in the spool before is delivered, too.
    const delivered = Math.min(producer("spooled"), Math.max(0, since("delivered") - since("replayed")));
    return {
      id,
      process: `${hostname()}:${process.pid}`,
      broker: label,
      beganAtMs,
      endedAtMs,
      updatedAtMs: clock.nowMs(),
      problem,
      counts: {
        enqueued: producer("enqueued"),
        spooled: producer("spooled"),
        notSent: producer("notSent"),
        refused: producer("refused"),
        unknown: producer("unknown"),
        turnedAway: producer("turnedAway"),
        waiting: Math.max(0, producer("spooled") - delivered - since("parked")),
        delivered,
        duplicates: since("duplicates"),
        replayed: since("replayed"),
        parked: since("parked"),
        longestDelayMs: tally.longestDelayMs,
        leaseLost: since("leaseLost"),
      },
      change: change && { ...change, sentAgain: Math.min(change.sentAgain, tally.mostReplayed) },
    };
  }

  /** One after the other; what cannot be written now is with the next. */
  #write(open: Open, record: OutageRecord): void {
    const { updatedAtMs, ...rest } = record;
    const text = JSON.stringify(rest);
    if (!matters(record, updatedAtMs) || text === open.written) return;
    this.#writing = this.#writing.then(() => this.#writeNow(open, record, text));
  }

  async #writeNow(open: Open, record: OutageRecord, text: string): Promise<void> {
    await this.#local?.writeOutages([record]).catch(ignored);
    if (record.endedAtMs === undefined) return;
    await this.#source.writeOutages([record]).then(() => void (open.written = text), ignored);
  }

  /** What a process that died knew is told by the next one that uses its spool's directory. */
  async #tellOfOthers(): Promise<void> {
    const records = await this.#local!.readOutages().catch(() => []);
    if (records.length > 0) await this.#source.writeOutages(records, true).catch(ignored);
  }
}

/** The record is for people; whoever needs storage hears by its own calls that it is away. */
const ignored = () => undefined;

function matters({ beganAtMs, endedAtMs, counts, change }: OutageRecord, nowMs: number): boolean {
  const { spooled, notSent, refused, unknown, turnedAway, leaseLost } = counts;
  const harmed = spooled + notSent + refused + unknown + turnedAway + leaseLost > 0;
  return change !== undefined || harmed || (endedAtMs ?? nowMs) - beganAtMs >= shortestMs;
}
