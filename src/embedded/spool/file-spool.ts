import type { SpoolStats } from "../../broker/spool.js";
import { systemClock } from "../../core/clock.js";
import { HoldfastError } from "../../core/errors.js";
import type { Driver } from "../driver.js";
import { pack, unpack } from "../packed.js";
import { isFull } from "../sqlite-error.js";
import { inTransaction } from "../transaction.js";
import { Home } from "./home.js";
import { prepareDirectory } from "./spool-directory.js";
import { asSpoolError, isBroken } from "./spool-error.js";
import { SpoolFile } from "./spool-file.js";
import type { SpoolPlan } from "./spool-options.js";
import type { Ended, ReadReply, SpoolCall, SpoolNews, SpoolReply } from "./spool-protocol.js";

/** How each task ended is known so long, and for so many. */
const outcomesMs = 3_600_000;
const maxOutcomes = 100_000;
/** What could not be opened is looked at again after this time, not with every call. */
const refusedMs = 1_000;

export type SpoolAnswer = { readonly value: SpoolReply } | { readonly error: HoldfastError };

/**
 * A process's part of a spool: synchronous, to be used by one thread. It opens with the first call, and anew after an
 * error that leaves its file in doubt.
 */
export class FileSpool {
  readonly #driver: Driver;
  readonly #plan: SpoolPlan;
  readonly #tell: (news: SpoolNews) => void;
  #open: { readonly home: Home; readonly file: SpoolFile } | undefined;
  #refused: { readonly error: unknown; readonly untilMs: number } = { error: undefined, untilMs: 0 };
  #sequence: number;
  #held = { tasks: 0, bytes: 0, parked: 0, outcomes: 0 };

  constructor(driver: Driver, plan: SpoolPlan, after: number, tell: (news: SpoolNews) => void) {
    this.#driver = driver;
    this.#plan = plan;
    this.#sequence = after;
    this.#tell = tell;
  }

  /** Several calls in one transaction, which waits for the disk once. All of them fail with it. */
  run(calls: readonly SpoolCall[]): SpoolAnswer[] {
    const before = { ...this.#held };
    try {
      const { file } = (this.#open ??= this.#opened());
      return inTransaction(file.database, () => calls.map((call) => this.#answer(file, call)));
    } catch (error) {
      this.#held = before;
      if (isBroken(error)) this.#giveUp();
      const told = isFull(error) ? this.#full(true) : asSpoolError(error, this.#plan.directory);
      return calls.map(() => ({ error: told }));
    }
  }

  /** What is left is kept for the next process; where nothing is left, nothing remains. */
  close(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    open.file.close();
    if (this.#held.tasks + this.#held.parked === 0) open.home.remove();
    else open.home.release();
  }

  #opened(): { home: Home; file: SpoolFile } {
    if (performance.now() < this.#refused.untilMs) throw this.#refused.error;
    const { directory, keys } = this.#plan;
    try {
      const fileSystem = prepareDirectory(directory);
      const home = Home.create(this.#driver, directory);
      const file = SpoolFile.open(this.#driver, home.file, keys, "the spool");
      home.madeDurable();
      this.#held = { tasks: 0, bytes: 0, parked: 0, outcomes: 0 };
      const reservation =
        fileSystem.kind === "doubtful" ? `it is on ${fileSystem.name}, and ${fileSystem.problem}` : undefined;
      this.#tell({ news: "opened", home: home.name, sealed: keys.length > 0, reservation });
      return { home, file };
    } catch (error) {
      this.#refused = { error, untilMs: performance.now() + refusedMs };
      throw error;
    }
  }

  #giveUp(): void {
    const open = this.#open;
    this.#open = undefined;
    open?.file.close();
    open?.home.release();
  }

  #answer(file: SpoolFile, call: SpoolCall): SpoolAnswer {
    switch (call.verb) {
      case "append":
        return this.#append(file, call.ids, unpack(call.records) as Uint8Array[], call.nowMs);
      case "read":
        return { value: read(file, call.after, call.limit) };
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

  #append(file: SpoolFile, ids: readonly string[], records: readonly Uint8Array[], atMs: number): SpoolAnswer {
    const { maxTasks, maxBytes } = this.#plan;
    const bytes = records.reduce((sum, record) => sum + SpoolFile.bytesOf(record), 0);
    if (this.#held.tasks + records.length > maxTasks || this.#held.bytes + bytes > maxBytes) {
      return { error: this.#full(false) };
    }
    ids.forEach((id, index) => file.append({ sequence: (this.#sequence += 1), id, atMs, record: records[index]! }));
    this.#held.tasks += records.length;
    this.#held.bytes += bytes;
    return { value: this.#sequence };
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
}

function read(file: SpoolFile, after: number, limit: number): ReadReply {
  const tasks = file.tasks(after, limit);
  return {
    tasks: tasks.map(({ sequence, atMs }) => ({ sequence, atMs })),
    records: pack(tasks.map(({ record }) => record)),
  };
}
