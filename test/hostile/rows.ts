import { encodeMessage } from "../../src/core/codec.js";
import type { Database } from "../../src/embedded/driver.js";
import { failure, message } from "../support/builders.js";

type Value = string | number | bigint | null | Uint8Array;
/** A hostile row, by its columns; numbers past 2⁵³ come as bigint. */
type Row = Readonly<Record<string, Value>>;

export const tables = ["task", "queue", "day", "unique_lock", "finished", "request", "act", "worker"] as const;
type Table = (typeof tables)[number];

const states = ["pending", "active", "scheduled", "retry", "archived", "completed"];
const largest = 2n ** 63n - 1n;

/** Draws from a seed what another program may have written into a file. */
export class OddRows {
  readonly #random: () => number;
  readonly #nowMs: number;
  readonly #queue: string;
  readonly #rows: (readonly [Table, Row])[] = [];
  #count = 0;

  constructor(random: () => number, queue: string, nowMs: number) {
    this.#random = random;
    this.#queue = queue;
    this.#nowMs = nowMs;
  }

  make(): readonly (readonly [Table, Row])[] {
    for (let n = 3 + this.#below(12); n > 0; n -= 1) this.#task();
    if (this.#below(2) === 0) this.#others();
    return this.#rows;
  }

  #task(): void {
    this.#count += 1;
    const id = this.#pick([
      `id-${this.#count}`,
      `${this.#count} 任务\u202e`,
      `nul ${this.#count}`,
      `${this.#count}`.padStart(100_000, "i"),
    ]);
    const state = this.#pick([...states, ...states, ...states, "weird", "aggregating", "", "__proto__", "toString"]);
    this.#add("task", {
      queue: this.#queue,
      id,
      state,
      rank: this.#number(Math.floor(this.#nowMs / 1_000)),
      token: this.#pick([null, null, "token", ""]),
      since_ms: this.#number(this.#nowMs),
      crashes: this.#pick([0, 0, 0, this.#number(2)]),
      returns: this.#pick([0, 0, this.#number(2)]),
      at_most_once: this.#pick([0, 0, 1, this.#number(1)]),
      failure: this.#pick([null, "", "{", "[]", '{"reason":5}', JSON.stringify(failure())]),
      result: this.#pick([null, Buffer.from([0, 255])]),
      cancel: this.#pick([null, null, "", "retry", "archive", "explode"]),
      progress: this.#pick([null, "{", "5", "[".repeat(5_000)]),
      message: this.#message(id),
    });
  }

  #message(id: string): Uint8Array {
    const whole = encodeMessage(
      message({
        id: this.#pick([id, "another", ""]),
        queue: this.#pick([this.#queue, "elsewhere"]),
        payload: Buffer.from(`payload of ${this.#count}`),
        retentionMs: this.#pick([0, 0, 1_000, 8_640_000_000_000_000]),
        uniqueKey: this.#pick(["", "lock"]),
      }),
    );
    return this.#pick([
      whole,
      whole,
      whole,
      Buffer.alloc(0),
      Buffer.from("ff", "hex"),
      whole.subarray(0, 20),
      Buffer.alloc(100_000, 0xff),
    ]);
  }

  /** Counts that are wrong, and rows that nothing belongs to. */
  #others(): void {
    const some = (values: readonly Value[]) => this.#pick(values);
    const counts = Object.fromEntries(
      [...states, "processed", "failed"].map((name) => [name, this.#pick([0, 3, this.#number(1)])] as const),
    );
    this.#add("queue", { name: this.#queue, paused: 0, paused_ms: some([null, largest]), ...counts });
    const day = Math.floor(this.#nowMs / 86_400_000);
    this.#add("day", { queue: this.#queue, day, processed: this.#number(1), failed: this.#number(1) });
    this.#add("unique_lock", { key: "lock", id: some(["id-1", "nobody"]), until_ms: this.#number(this.#nowMs) });
    this.#add("finished", { minute: this.#number(1), queue: this.#queue, id: "nobody" });
    const leased = some(["", "{", "[]", "[[1,2]]", `[["${this.#queue}","id-1"],5]`]);
    this.#add("request", { worker: "w:0", id: "request-1", leased, at_ms: this.#number(this.#nowMs) });
    this.#add("act", {
      queue: this.#queue,
      number: this.#number(1),
      at_ms: 0,
      verb: "",
      what: "",
      count: 0,
      actor: "",
      reason: "",
      request_id: "",
    });
    const info = some(["", "{}", "null", '{"id":"x","queues":[],"running":[null]}', '{"id":"x","host":"h","pid":1}']);
    this.#add("worker", { id: "x", until_ms: this.#number(this.#nowMs), info });
  }

  /** About this one, or at the edge of what there is. */
  #number(around: number): Value {
    const near = around - 100 + this.#below(200);
    const odd = [0, -1, -near, 2 ** 53 - 1, 8.64e15, 2n ** 53n, -(2n ** 53n), 4n * 10n ** 18n, largest, -largest - 1n];
    return this.#below(3) === 0 ? this.#pick(odd) : near;
  }

  #add = (table: Table, row: Row) => this.#rows.push([table, row]);
  #below = (limit: number) => Math.floor(this.#random() * limit);
  #pick = <T>(from: readonly T[]): T => from[this.#below(from.length)]!;
}

/** As another program writes, past the engine. */
export function write(database: Database, rows: readonly (readonly [Table, Row])[]): void {
  for (const [table, row] of rows) {
    const names = Object.keys(row);
    // A number past 2⁵³ goes as text, which the column makes a number of.
    const values = Object.values(row).map((value) => (typeof value === "bigint" ? String(value) : value));
    database
      .prepare(`INSERT OR REPLACE INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`)
      .run(...values);
  }
  // No library binds a NUL.
  database.exec("UPDATE task SET id = id || char(0) || 'x' WHERE id LIKE 'nul %'");
}
