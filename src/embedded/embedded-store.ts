import { actLogs, appendActs, readActs } from "./acts.js";
import type { HoldfastError } from "../core/errors.js";
import { failureGroups, groupMembers, indexDeadLetters, knownCauses } from "./dead-letters/groups.js";
import { memory, openDatabase } from "./database-file.js";
import { history } from "./days.js";
import { readDocuments, writeDocuments } from "./dead-letters/documents.js";
import { diedSince, evict, evicted } from "./dead-letters/eviction.js";
import { countOutcomes, outcomeCounts } from "./dead-letters/outcome-counts.js";
import {
  chooseDead,
  endRedrive,
  moveDead,
  noteRedriven,
  redrivenTasks,
  redriveStands,
} from "./dead-letters/redrive.js";
import { adoptLetters, readLetters } from "./dead-letters/letters.js";
import { acknowledge, beginCopy, endCopy, quarantine } from "./dead-letters/marks.js";
import { oldestUnacknowledged } from "./dead-letters/oldest.js";
import { discard, listTrash, purge, restore } from "./dead-letters/trash.js";
import type { Database, Driver } from "./driver.js";
import { enqueue } from "./enqueue.js";
import { exchange } from "./exchange.js";
import { pending } from "./gauge.js";
import { find, list, queues } from "./look.js";
import { promote, prune } from "./maintain.js";
import { isMendable, mendRows } from "./mend.js";
import { move } from "./move.js";
import { reclaim } from "./reclaim.js";
import { report } from "./report.js";
import { remember } from "./remember.js";
import { renew } from "./renew.js";
import { taskTables } from "./schema.js";
import { dataVersion, type Signs, signs } from "./signs.js";
import { preparedOnce, type Sql } from "./sql.js";
import { asHoldfastError, isHarmless } from "./sqlite-error.js";
import { cancel, cancellations, dropQueue, setPaused, updatePayload } from "./steer.js";
import { seal, sealed, sealing, trimSealed } from "./sealed.js";
import { sizes, storage } from "./storage.js";
import { inTransaction } from "./transaction.js";
import { announce, withdraw, workers } from "./workers.js";

const ping = (_sql: Sql, _args: object) => undefined;

const verbs = {
  ping,
  appendActs,
  actLogs,
  readActs,
  sealing,
  seal,
  sealed,
  trimSealed,
  enqueue,
  exchange,
  reclaim,
  renew,
  report,
  remember,
  promote,
  prune,
  pending,
  queues,
  find,
  list,
  history,
  sizes,
  storage,
  move,
  updatePayload,
  setPaused,
  dropQueue,
  cancel,
  cancellations,
  announce,
  withdraw,
  workers,
  readDocuments,
  writeDocuments,
  evict,
  evicted,
  diedSince,
  countOutcomes,
  outcomeCounts,
  chooseDead,
  moveDead,
  noteRedriven,
  redriveStands,
  endRedrive,
  redrivenTasks,
  discard,
  restore,
  purge,
  listTrash,
  acknowledge,
  oldestUnacknowledged,
  quarantine,
  beginCopy,
  endCopy,
  readLetters,
  adoptLetters,
  indexDeadLetters,
  failureGroups,
  groupMembers,
  knownCauses,
};

export type Verb = keyof typeof verbs;
export type Args<V extends Verb> = Parameters<(typeof verbs)[V]>[1];
export type Reply<V extends Verb> = ReturnType<(typeof verbs)[V]>;
export type Call = { readonly [V in Verb]: { readonly verb: V; readonly args: Args<V> } }[Verb];
export type Answer = { readonly value: Reply<Verb> } | { readonly error: HoldfastError };

/**
 * What could not be opened is looked at again after this time, not with every call: @photostructure/sqlite lets go of a
 * file it has closed only when the statements on it are collected as garbage.
 */
const refusedMs = 1_000;

/**
 * The engine's storage: synchronous, to be used by one thread. It opens its database with the first call, and again
 * after an error that leaves it in doubt.
 */
export class EmbeddedStore {
  readonly #driver: Driver;
  readonly #location: string;
  readonly #label: string;
  #open: { readonly database: Database; readonly sql: Sql } | undefined;
  #refused: { readonly error: unknown; readonly untilMs: number } = { error: undefined, untilMs: 0 };

  constructor(driver: Driver, location: string, label: string) {
    this.#driver = driver;
    this.#location = location;
    this.#label = label;
  }

  /**
   * Carry out several calls in one transaction, so that they wait for the disk once. Each is answered as if it had been
   * alone: one that fails is undone and spoils nothing.
   */
  run(calls: readonly Call[]): Answer[] {
    try {
      const { database, sql } = (this.#open ??= this.#opened());
      const carryOutAll = () =>
        inTransaction(database, () =>
          calls.length === 1 ? [{ value: carryOut(sql, calls[0]!) }] : calls.map((call) => this.#apart(sql, call)),
        );
      try {
        return carryOutAll();
      } catch (error) {
        if (!isMendable(error)) throw error;
        inTransaction(database, () => mendRows(sql));
        return carryOutAll();
      }
    } catch (error) {
      if (!isHarmless(error) && this.#location !== memory) this.close();
      const told = asHoldfastError(error, this.#label);
      return calls.map(() => ({ error: told }));
    }
  }

  /** While nothing is asked: what the write-ahead log holds goes into the file, so that the log stays short. */
  rest(): void {
    if (this.#location === memory) return;
    try {
      // PASSIVE waits for nobody; what is left over goes at the next rest.
      this.#open?.database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } catch {
      // The next call meets the same trouble, and its caller is told.
    }
  }

  /** Differs from the last answer when somebody else has written meanwhile. Opens nothing, and fails in silence. */
  version(): number | undefined {
    return this.#glance(dataVersion);
  }

  /** What one may be waiting for; nothing is seen where the database is not open. */
  signs(withWaiting: boolean): Signs {
    return this.#glance((sql) => signs(sql, withWaiting)) ?? { waiting: [], cancelled: [] };
  }

  close(): void {
    this.#open?.database.close();
    this.#open = undefined;
  }

  /** Outside of any transaction: readers wait for nobody. */
  #glance<T>(look: (sql: Sql) => T): T | undefined {
    try {
      return this.#open && look(this.#open.sql);
    } catch {
      return undefined; // The next call meets the same trouble, and its caller is told.
    }
  }

  #opened(): { database: Database; sql: Sql } {
    if (performance.now() < this.#refused.untilMs) throw this.#refused.error;
    try {
      const database = openDatabase(this.#driver, this.#location, taskTables, this.#label);
      return { database, sql: preparedOnce(database) };
    } catch (error) {
      this.#refused = { error, untilMs: performance.now() + refusedMs };
      throw error;
    }
  }

  #apart(sql: Sql, call: Call): Answer {
    sql("SAVEPOINT call").run();
    try {
      const value = carryOut(sql, call);
      sql("RELEASE call").run();
      return { value };
    } catch (error) {
      if (!isHarmless(error) || isMendable(error)) throw error;
      sql("ROLLBACK TO call").run();
      sql("RELEASE call").run();
      return { error: asHoldfastError(error, this.#label) };
    }
  }
}

function carryOut(sql: Sql, { verb, args }: Call): Reply<Verb> {
  return (verbs[verb] as (sql: Sql, args: Args<Verb>) => Reply<Verb>)(sql, args);
}
