import type { Sql } from "./sql.js";

/** The places of a queue's line: what is pending runs by rank, lowest first. */
export class Line {
  readonly #sql: Sql;
  readonly #tails = new Map<string, number>();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** The next place behind all others. */
  behind(queue: string): number {
    let place = this.#tails.get(queue);
    if (place === undefined) {
      const last = this.#sql("SELECT max(rank) AS rank FROM task WHERE queue = ? AND state = 'pending'").get(queue);
      place = ((last as { rank: number | null }).rank ?? -1) + 1;
    }
    this.#tails.set(queue, place + 1);
    return place;
  }

  /** The first of `count` places before all others. */
  before(queue: string, count: number): number {
    const first = this.#sql("SELECT min(rank) AS rank FROM task WHERE queue = ? AND state = 'pending'").get(queue);
    return ((first as { rank: number | null }).rank ?? 0) - count;
  }
}
