import type { LeaseRequest, SettleReceipt } from "../broker/broker.js";
import { lease } from "./lease.js";
import { type LeasedRow, nothingLeased, type SetAside } from "./lease-request.js";
import { type Packed, pack, unpack } from "./packed.js";
import { type SettleRow, settle } from "./settle.js";
import type { Sql } from "./sql.js";
import { Tally } from "./tally.js";

export interface ExchangeCall {
  readonly rows: readonly SettleRow[];
  readonly messages: Packed;
  readonly lease: LeaseRequest | undefined;
  readonly nowMs: number;
}

export interface ExchangeReply {
  readonly settled: SettleReceipt[];
  readonly leased: LeasedRow[];
  readonly messages: Packed;
  readonly setAside: SetAside[];
  readonly more: boolean;
  readonly dry: string[];
  readonly paused: string[];
}

export function exchange(sql: Sql, call: ExchangeCall): ExchangeReply {
  const tally = new Tally();
  const settled = settle(sql, call.rows, unpack(call.messages), call.nowMs, tally);
  const next = call.lease === undefined ? nothingLeased() : lease(sql, call.lease, call.nowMs, tally);
  tally.write(sql, call.nowMs);
  return { ...next, settled, messages: pack(next.messages) };
}
