import { join } from "node:path";
import type { SpoolStats } from "../../broker/spool.js";
import { systemClock } from "../../core/clock.js";
import { HoldfastError, invalidOption } from "../../core/errors.js";
import type { Driver } from "../driver.js";
import { pack, unpack } from "../packed.js";
import { isFull } from "../sqlite-error.js";
import { inTransaction } from "../transaction.js";
import { Adopter } from "./adopter.js";
import type { Portion } from "./adoption.js";
import { Ballast } from "./ballast.js";
import { Home, removeUnfinished } from "./home.js";
import { prepareDirectory } from "../../core/own-directory.js";
import { asSpoolError, isBroken, problemOf } from "./spool-error.js";
import { SpoolFile, UnknownKey } from "./spool-file.js";
import type { SpoolPlan } from "./spool-options.js";
import type { Ended, ReadReply, SpoolCall, SpoolNews, SpoolReply } from "./spool-protocol.js";

/** How each task ended is known so long, and for so many. */
const outcomesMs = 3_600_000;
const maxOutcomes = 100_000;
/** What could not be opened is looked at again after this time, not with every call. */
const refusedMs = 1_000;
/** How often one looks for what dead processes left. */
const lookMs = 30_000;
/** How long one waits when that went wrong. */
const troubleMs = 5_000;
/** What is read at a time takes no more memory than this, or than one task. */
const readBytes = 8 * 1_048_576;
/** An empty file larger than this is made small again. */
const roomyBytes = 64 * 1_048_576;

export type SpoolAnswer = { readonly value: SpoolReply } | { readonly error: HoldfastError };

interface Open {
  readonly home: Home;
  readonly file: SpoolFile;
  readonly ballast: Ballast;
  readonly adopter: Adopter;
}

/**
 * A process's part of a spool: synchronous, to be used by one thread. It opens with the first call, and anew after an
 * error that leaves its file in doubt: that file is then adopted as if its process had died.
 */
export class FileSpool {
  readonly #driver: Driver;
  readonly #plan: SpoolPlan;
  readonly #tell: (news: SpoolNews) => void;
  #open: Open | undefined;
  #refused: { readonly error: unknown; readonly untilMs: number } = { error: undefined, untilMs: 0 };
  #sequence: number;
  #held = { tasks: 0, bytes: 0, parked: 0, outcomes: 0 };
  #lookAtMs = 0;
  #pausedUntilMs = 0;
  #trouble = "";
  #toldOld = false;

  constructor(driver: Driver, plan: SpoolPlan, after: number, tell: (news: SpoolNews) => void) {
    this.#driver = driver;
    this.#plan = plan;
    this.#sequence = after;
    this.#tell = tell;
  }

  /** Several calls in one transaction, which waits for the disk once. All of them fail with it. */
  run(calls: readonly SpoolCall[]): SpoolAnswer[] {
    try {
      const open = (this.#open ??= this.#opened());
      return this.#written(open, () => calls.map((call) => this.#answer(open, call)));
    } catch (error) {
      if (this.#open !== undefined && isFull(error)) return this.#whileFull(this.#open, calls);
      const told = isFull(error) ? this.#full(true) : asSpoolError(error, this.#plan.directory);
      return calls.map(() => ({ error: told }));
    }
  }

  /** After how many ms `tend` is to be called. */
  restMs(): number {
    const adopting = this.#open?.adopter.busy === true && this.#roomToAdopt() > 0;
    return Math.max(0, (adopting ? this.#pausedUntilMs : this.#lookAtMs) - performance.now());
  }

  /** What is to be done now and then. */
  tend(): void {
    try {
      const open = (this.#open ??= this.#opened());
      if (performance.now() >= this.#lookAtMs) this.#look(open);
      this.#adopt(open);
      this.#trouble = "";
    } catch (error) {
      this.#pausedUntilMs = performance.now() + troubleMs;
      this.#lookAtMs = Math.max(this.#lookAtMs, this.#pausedUntilMs);
      const problem = problemOf(error);
      // Said once, however often it is met.
      if (problem !== this.#trouble) this.#tell({ news: "trouble", problem });
      this.#trouble = problem;
    }
  }

  /** What is left is kept for the next process; where nothing is left, nothing remains. */
  close(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    open.adopter.close();
    open.file.close();
    if (this.#held.tasks + this.#held.parked === 0) open.home.remove();
    else open.home.release();
  }

  #opened(): Open {
    if (performance.now() < this.#refused.untilMs) throw this.#refused.error;
    try {
      return this.#begin();
    } catch (error) {
      this.#refused = { error, untilMs: performance.now() + refusedMs };
      throw error;
    }
  }

  #begin(): Open {
    const { directory, keys } = this.#plan;
    const fileSystem = prepareDirectory(directory, "spool.directory");
    const home = Home.create(this.#driver, directory);
    const adopter = new Adopter(this.#driver, home, keys);
    try {
      // Whoever gives the wrong key is told before anything is accepted, while people watch.
      adopter.look((problem) => this.#tell({ news: "trouble", problem }), true);
      const file = SpoolFile.create(this.#driver, home.file, keys);
      const ballast = new Ballast(join(home.path, "ballast"));
      ballast.fill();
      home.madeDurable();
      this.#held = { tasks: 0, bytes: 0, parked: 0, outcomes: 0 };
      this.#lookAtMs = performance.now() + lookMs;
      const reservation =
        fileSystem.kind === "doubtful" ? `it is on ${fileSystem.name}, and ${fileSystem.problem}` : undefined;
      this.#tell({ news: "opened", sealed: keys.length > 0, reservation });
      return { home, file, ballast, adopter };
    } catch (error) {
      adopter.close();
      home.remove();
      if (error instanceof UnknownKey) throw invalidOption("spool.key", error.message);
      throw error;
    }
  }

  /** @throws what `work` throws; then nothing has changed, and a file that is broken is given up */
  #written<T>({ file }: Open, work: () => T): T {
    const before = { ...this.#held };
    try {
      return inTransaction(file.database, work);
    } catch (error) {
      this.#held = before;
      if (isBroken(error)) this.#giveUp();
      throw error;
    }
  }

  #giveUp(): void {
    const open = this.#open;
    this.#open = undefined;
    this.#lookAtMs = 0;
    open?.adopter.close();
    open?.file.close();
    open?.home.release();
  }

  /** Nothing is accepted; for what makes room there is the ballast. */
  #whileFull(open: Open, calls: readonly SpoolCall[]): SpoolAnswer[] {
    const refused = { error: this.#full(true) };
    const others = calls.filter(({ verb }) => verb !== "append");
    const answers = others.length > 0 && open.ballast.drop() ? this.run(others) : others.map(() => refused);
    return calls.map(({ verb }) => (verb === "append" ? refused : answers.shift()!));
  }

  #answer(open: Open, call: SpoolCall): SpoolAnswer {
    const { file } = open;
    switch (call.verb) {
      case "append":
        return this.#append(open, call.ids, unpack(call.records) as Uint8Array[], call.nowMs);
      case "read":
        return { value: this.#read(file, call.after, call.limit) };
      case "release":
        this.#release(file, call.ended);
        return { value: undefined };
      case "outcomes":
        return { value: call.ids.map((id) => file.outcome(id)) };
      case "stats":
        return { value: this.#stats(file) };
    }
    call satisfies never;
  }

  #append(open: Open, ids: readonly string[], records: readonly Uint8Array[], atMs: number): SpoolAnswer {
    const { maxTasks, maxBytes } = this.#plan;
    const bytes = records.reduce((sum, record) => sum + SpoolFile.bytesOf(record), 0);
    if (this.#held.tasks + records.length > maxTasks || this.#held.bytes + bytes > maxBytes) {
      return { error: this.#full(false) };
    }
    if (!open.ballast.fill()) return { error: this.#full(true) };
    ids.forEach((id, index) => {
      open.file.append({ sequence: (this.#sequence += 1), id, atMs, record: records[index]! });
    });
    this.#held.tasks += records.length;
    this.#held.bytes += bytes;
    return { value: this.#sequence };
  }

  #read(file: SpoolFile, after: number, limit: number): ReadReply {
    const most = this.#held.bytes > readBytes ? file.within(readBytes, after, limit) : limit;
    const tasks = file.tasks(after, most);
    return {
      tasks: tasks.map(({ sequence, id, atMs }) => ({ sequence, id, atMs })),
      records: pack(tasks.map(({ record }) => record)),
    };
  }

  #release(file: SpoolFile, ended: readonly Ended[]): void {
    const nowMs = systemClock.nowMs();
    for (const { sequence, outcome } of ended) {
      if (outcome.status === "parked" && file.park(sequence, outcome.problem, nowMs)) this.#held.parked += 1;
      const removed = file.remove(sequence);
      // Released before, or of a file that was given up: it comes again by adoption.
      if (removed === undefined) continue;
      this.#held.tasks -= 1;
      this.#held.bytes -= removed.bytes;
      this.#held.outcomes += 1;
      file.ended(removed.id, outcome, nowMs);
    }
    this.#held.outcomes -= file.forget(nowMs - outcomesMs, 2 * ended.length);
    if (this.#held.outcomes > maxOutcomes) {
      this.#held.outcomes -= file.forget(Number.MAX_SAFE_INTEGER, this.#held.outcomes - maxOutcomes);
    }
  }

  #stats(file: SpoolFile): SpoolStats {
    const { tasks, bytes, parked } = this.#held;
    const { maxBytes, maxTasks } = this.#plan;
    return { tasks, bytes, oldestAtMs: file.oldestAtMs(), parked, maxBytes, maxTasks };
  }

  #full(diskFull: boolean): HoldfastError {
    const { directory, maxBytes, maxTasks } = this.#plan;
    const { tasks, bytes } = this.#held;
    return new HoldfastError("SPOOL_FULL", { directory, tasks, maxTasks, bytes, maxBytes, diskFull });
  }

  #look({ file, adopter, ballast }: Open): void {
    this.#lookAtMs = performance.now() + lookMs;
    const nowMs = systemClock.nowMs();
    removeUnfinished(this.#plan.directory, nowMs);
    adopter.look((problem) => this.#tell({ news: "trouble", problem }), false);
    const oldestAtMs = file.oldestAtMs();
    const old = oldestAtMs !== undefined && oldestAtMs < nowMs - this.#plan.maxAgeMs;
    if (old && !this.#toldOld) this.#tell({ news: "old", oldestAtMs });
    this.#toldOld = old;
    // On a full disk it may be this very file that takes the room.
    if (this.#held.tasks === 0) file.shrink(ballast.fill() ? roomyBytes : 0);
  }

  /** One portion of what dead processes left. */
  #adopt(open: Open): void {
    const room = this.#roomToAdopt();
    if (room <= 0) return;
    const news = open.adopter.move(room, (portion) => this.#written(open, () => this.#take(open.file, portion)));
    for (const one of news) this.#tell(one);
  }

  /** What is taken over does not shut out what is accepted: it comes while half of the spool is free. */
  #roomToAdopt(): number {
    const { maxTasks, maxBytes } = this.#plan;
    return this.#held.bytes * 2 > maxBytes ? 0 : Math.ceil(maxTasks / 2) - this.#held.tasks;
  }

  /** Answers the sequence of the last task: those that are parked are never sent. */
  #take(file: SpoolFile, { tasks, parked }: Portion): number {
    for (const task of tasks) {
      file.append({ ...task, sequence: (this.#sequence += 1) });
      this.#held.bytes += SpoolFile.bytesOf(task.record);
    }
    const last = this.#sequence;
    for (const task of parked) file.appendParked({ ...task, sequence: (this.#sequence += 1) });
    this.#held.tasks += tasks.length;
    this.#held.parked += parked.length;
    return last;
  }
}
