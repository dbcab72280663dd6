import type { Lease } from "../broker/broker.js";
import { ceilToS } from "../core/duration.js";
import type { Sql } from "./sql.js";

export interface RenewCall {
  readonly leases: readonly Lease[];
}

/** Each lease is to last until its `untilMs`, where that is later than now; the answer: those that are not held any more. */
export function renew(sql: Sql, { leases }: RenewCall): Lease[] {
  return leases.filter(({ queue, id, token, untilMs }) => {
    const held = "queue = ? AND id = ? AND token = ?";
    const { changes } = sql(`UPDATE task SET rank = max(rank, ?) WHERE ${held}`).run(
      ceilToS(untilMs),
      queue,
      id,
      token,
    );
    return Number(changes) === 0;
  });
}
