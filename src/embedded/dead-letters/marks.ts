import type { TaskRef } from "../../broker/broker.js";
import {
  type AcknowledgeReceipt,
  type CopyBegun,
  maxCopies,
  type NewCopy,
  type QuarantineReceipt,
  type StoredCopy,
  storedCopy,
} from "../../broker/letter-marks.js";
import type { Act } from "../../broker/roles.js";
import { markText } from "../../broker/stored-marks.js";
import { storedJson } from "../../core/stored-json.js";
import { recordAct } from "../acts.js";
import type { Sql } from "../sql.js";
import type { IdsCall } from "./trash.js";

export function acknowledge(
  sql: Sql,
  { queue, ids, on, by, nowMs }: IdsCall & { readonly on: boolean },
): AcknowledgeReceipt[] {
  const verb = on ? "acknowledge" : "unacknowledge";
  const update = sql("UPDATE task SET ack = ? WHERE queue = ? AND id = ?");
  const note = (id: string) => update.run(on ? markText(by, nowMs) : null, queue, id);
  return marked(sql, { queue, ids, by, nowMs }, verb, note).map((receipt) =>
    receipt === "marked" ? "acknowledged" : receipt,
  );
}

export function quarantine(
  sql: Sql,
  { queue, ids, on, by, nowMs }: IdsCall & { readonly on: boolean },
): QuarantineReceipt[] {
  const verb = on ? "quarantine" : "unquarantine";
  const update = sql("UPDATE task SET quarantine = ? WHERE queue = ? AND id = ?");
  const note = (id: string) => update.run(on ? markText(by, nowMs) : null, queue, id);
  return marked(sql, { queue, ids, by, nowMs }, verb, note);
}

function marked(
  sql: Sql,
  { queue, ids, by, nowMs }: IdsCall,
  verb: string,
  note: (id: string) => void,
): QuarantineReceipt[] {
  const done = new Set<string>();
  const receipts = ids.map((id): QuarantineReceipt => {
    const row = sql("SELECT state FROM task WHERE queue = ? AND id = ?").get(queue, id) as Row | undefined;
    if (row === undefined) return "notFound";
    if (row.state !== "archived") return "wrongState";
    note(id);
    done.add(id);
    return "marked";
  });
  if (done.size > 0) recordAct(sql, queue, { verb, what: [...done], count: done.size }, by, nowMs);
  return receipts;
}

interface Row {
  readonly state: string;
  readonly copies: string | null;
}

export interface CopyCall {
  readonly of: TaskRef;
  readonly by: Act;
  readonly nowMs: number;
}

export function beginCopy(sql: Sql, { of, copy, by, nowMs }: CopyCall & { readonly copy: NewCopy }): CopyBegun {
  const row = rowOf(sql, of);
  if (row === undefined) return { status: "notFound" };
  const copies = copiesIn(row.copies);
  const known = copies.find(({ request }) => request === by.requestId);
  if (known !== undefined) return { status: "known", copy: known };
  if (row.state !== "archived") return { status: "wrongState" };
  write(sql, of, [...copies, storedCopy(copy, by, nowMs)].slice(-maxCopies));
  recordAct(sql, of.queue, { verb: "copy", what: [of.id], count: 1 }, by, nowMs);
  return { status: "begun" };
}

export function endCopy(sql: Sql, { of, made, by, nowMs }: CopyCall & { readonly made: boolean }): void {
  const copies = copiesIn(rowOf(sql, of)?.copies);
  const mine = copies.find(({ request }) => request === by.requestId);
  if (mine === undefined) return;
  write(
    sql,
    of,
    copies.flatMap((copy) => (copy !== mine ? [copy] : made ? [{ ...copy, done: true }] : [])),
  );
  if (!made) recordAct(sql, of.queue, { verb: "copyRefused", what: [of.id], count: 1 }, by, nowMs);
}

const rowOf = (sql: Sql, { queue, id }: TaskRef) =>
  sql("SELECT state, copies FROM task WHERE queue = ? AND id = ?").get(queue, id) as Row | undefined;

function copiesIn(text: string | null | undefined): StoredCopy[] {
  const stored = storedJson(text);
  return Array.isArray(stored) ? stored.filter((one) => typeof one === "object" && one !== null) : [];
}

function write(sql: Sql, { queue, id }: TaskRef, copies: readonly StoredCopy[]): void {
  const text = copies.length === 0 ? null : JSON.stringify(copies);
  sql("UPDATE task SET copies = ? WHERE queue = ? AND id = ?").run(text, queue, id);
}
