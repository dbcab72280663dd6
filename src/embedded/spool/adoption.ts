import type { Driver } from "../driver.js";
import { inTransaction } from "../transaction.js";
import { openDead } from "./dead-file.js";
import type { Home } from "./home.js";
import { isBroken, problemOf } from "./spool-error.js";
import { SealBroken } from "../../core/seal.js";
import type { ParkedTask, SpoolFile, StoredTask } from "./spool-file.js";
import type { EncryptionKeys } from "../../core/encryption-key.js";

/** So much is moved at a time: it costs as much disk, and keeps those waiting that have something to accept. */
const portionBytes = 8 * 1_048_576;
/** So many numbers are tried at a time where rows cannot be read. */
const portionGap = 5_000;
/** After so many in a row there are no more; beside those that the file has room for, at so many bytes each. */
const longestGap = 10_000;
const leastRowBytes = 64;

export interface Portion {
  readonly tasks: readonly StoredTask[];
  readonly parked: readonly ParkedTask[];
  readonly last: boolean;
}

/**
 * What a dead process left, on its way into another's file: portion by portion, each of which is first durable there and
 * then deleted here. Killed in between, a portion is in both, and its tasks reach storage twice under the same ids.
 * What is damaged is passed over, and goes to quarantine in the end.
 */
export class Adoption {
  readonly #home: Home;
  readonly #file: SpoolFile | undefined;
  readonly #cursors: { readonly task: Cursor<StoredTask>; readonly parked: Cursor<ParkedTask> } | undefined;
  #problem: string | undefined;

  private constructor(home: Home, file: SpoolFile | undefined, problem: string | undefined) {
    this.#home = home;
    this.#file = file;
    this.#problem = problem;
    const gap = longestGap + (file?.bytes() ?? 0) / leastRowBytes;
    this.#cursors = file && {
      task: new Cursor((after) => file.taskAfter(after), file.last("task"), gap),
      parked: new Cursor((after) => file.parkedAfter(after), file.last("parked"), gap),
    };
  }

  /**
   * Of a home whose lock is held; undefined when another process has been quicker.
   * @throws UnknownKey, or BROKER_INCOMPATIBLE for a later Holdfast's; then it is as it was, and its lock released
   */
  static begin(driver: Driver, dead: Home, adopter: Home, keys: EncryptionKeys): Adoption | undefined {
    try {
      // Looked into before it gets another name: what cannot be opened keeps its own.
      const { file: looked } = openDead(driver, dead.file, keys);
      looked?.close();
      if (looked?.unknownKey !== undefined) throw looked.unknownKey;
      const home = dead.takenOverBy(adopter);
      if (home !== undefined) {
        const { file, problem } = openDead(driver, home.file, keys);
        return new Adoption(home, file, problem);
      }
    } catch (error) {
      dead.release();
      throw error;
    }
    dead.release();
    return undefined;
  }

  get name(): string {
    return this.#home.name;
  }

  next(limit: number): Portion {
    if (this.#cursors === undefined) return { tasks: [], parked: [], last: true };
    const { task, parked } = this.#cursors;
    const tasks = task.take(limit);
    const parkedTasks = task.ended ? parked.take(limit) : [];
    return { tasks, parked: parkedTasks, last: task.ended && parked.ended };
  }

  /** The portion is durable elsewhere. */
  moved(): void {
    if (this.#file === undefined || this.#cursors === undefined) return;
    const { task, parked } = this.#cursors;
    task.confirm();
    parked.confirm();
    this.#problem ??= task.problem ?? parked.problem;
    if (this.#problem !== undefined) return;
    const file = this.#file;
    try {
      inTransaction(file.database, () => {
        file.removeUpTo(task.confirmed, "task");
        file.removeUpTo(parked.confirmed, "parked");
      });
    } catch (error) {
      this.#problem = problemOf(error);
    }
  }

  /** The portion is not durable: it comes again. */
  failed(): void {
    this.#cursors?.task.back();
    this.#cursors?.parked.back();
  }

  /** After the last portion. What was lost, if something was, and where the rest is kept. */
  finish(): { readonly problem: string; readonly lost: number | undefined; readonly kept: string } | undefined {
    this.#file?.close();
    if (this.#problem === undefined) {
      this.#home.remove();
      return undefined;
    }
    const { task, parked } = this.#cursors ?? {};
    const lost = task?.endFound === true && parked?.endFound === true ? task.lost + parked.lost : undefined;
    return { problem: this.#problem, lost, kept: this.#home.quarantine() };
  }

  /** What is not moved yet is the next one's. */
  release(): void {
    this.#file?.close();
    this.#home.release();
  }
}

/** Rows in order, past those that cannot be read. */
class Cursor<Row extends { readonly sequence: number; readonly record: Uint8Array }> {
  readonly #next: (after: number) => Row | undefined;
  readonly #last: number;
  readonly #longestGap: number;
  #gap = 0;
  #at = 0;
  #lost = 0;
  confirmed = 0;
  lost = 0;
  ended = false;
  /** Else nobody knows how many there were behind the last that could be read. */
  endFound = true;
  problem: string | undefined;

  constructor(next: (after: number) => Row | undefined, last: number | undefined, gap: number) {
    this.#next = next;
    this.#last = last ?? Number.MAX_SAFE_INTEGER;
    this.#longestGap = gap;
  }

  take(limit: number): Row[] {
    const rows: Row[] = [];
    let bytes = 0;
    let failures = 0;
    while (rows.length < limit && bytes < portionBytes && failures < portionGap && !this.ended) {
      try {
        const row = this.#next(this.#at);
        if (row === undefined) {
          this.ended = true;
          break;
        }
        // What is damaged leads anywhere, also back to where one came from.
        if (row.sequence <= this.#at) throw new SealBroken(row);
        rows.push(row);
        bytes += row.record.length;
        this.#at = row.sequence;
        this.#gap = 0;
      } catch (error) {
        if (!isBroken(error)) throw error;
        this.problem ??= problemOf(error);
        failures += 1;
        this.#lost += 1;
        this.#gap += 1;
        this.#at = Math.max(this.#at + 1, error instanceof SealBroken ? error.sequence : 0);
        this.endFound = this.#gap <= this.#longestGap;
        if (this.#at >= this.#last || !this.endFound) this.ended = true;
      }
    }
    return rows;
  }

  confirm(): void {
    this.confirmed = this.#at;
    this.lost = this.#lost;
  }

  back(): void {
    this.#at = this.confirmed;
    this.#lost = this.lost;
    this.ended = false;
  }
}
