import type { Cancellation, Lease } from "../broker/broker.js";
import { ceilToS } from "../core/duration.js";
import type { Sql } from "./sql.js";
import { wishIn } from "./steer.js";

export interface RenewCall {
  readonly leases: readonly Lease[];
}

export interface Renewed {
  /** Not held any more. */
  readonly lost: readonly Lease[];
  readonly cancelled: readonly CancelledLease[];
}

export type CancelledLease = Lease & { readonly how: Cancellation };

/** Each lease is to last until its `untilMs`, where that is later than now. */
export function renew(sql: Sql, { leases }: RenewCall): Renewed {
  const lost: Lease[] = [];
  const cancelled: CancelledLease[] = [];
  const one = sql("UPDATE task SET rank = max(rank, ?) WHERE queue = ? AND id = ? AND token = ? RETURNING cancel");
  for (const lease of leases) {
    const held = one.get(ceilToS(lease.untilMs), lease.queue, lease.id, lease.token) as Held | undefined;
    const how = wishIn(held?.cancel);
    if (held === undefined) lost.push(lease);
    else if (how !== undefined) cancelled.push({ ...lease, how });
  }
  return { lost, cancelled };
}

interface Held {
  readonly cancel: string | null;
}
