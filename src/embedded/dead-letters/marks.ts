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

export const acknowledge = labelling<AcknowledgeReceipt>("ack", "acknowledge", "acknowledged");
export const quarantine = labelling<QuarantineReceipt>("quarantine", "quarantine", "marked");

/** A mark in a column of theirs, or (`on` false) none any more. */
function labelling<R extends AcknowledgeReceipt | QuarantineReceipt>(column: string, verb: string, done: R) {
  return (sql: Sql, { queue, ids, on, by, nowMs }: IdsCall & { readonly on: boolean }) => {
    const mark = on ? markText(by, nowMs) : null;
    const marked = new Set<string>();
    const receipts = ids.map((id) => {
      const row = rowOf(sql, { queue, id });
      if (row === undefined) return "notFound";
      if (row.state !== "archived") return "wrongState";
      sql(`UPDATE task SET ${column} = ? WHERE queue = ? AND id = ?`).run(mark, queue, id);
      marked.add(id);
      return done;
    });
    if (marked.size > 0)
      recordAct(sql, queue, { verb: on ? verb : `un${verb}`, what: [...marked], count: marked.size }, by, nowMs);
    return receipts;
  };
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
