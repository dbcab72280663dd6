import { maxCrashes, type TaskRef } from "../broker/broker.js";
import { archivedBy, failureText } from "../broker/failures.js";
import type { Act, MoveReceipt, MoveSelection, MoveTarget } from "../broker/roles.js";
import { messageToRun } from "../broker/steered.js";
import { decodeMessage, encodeMessage } from "../core/codec.js";
import { floorToS } from "../core/duration.js";
import { type Deed, recordAct } from "./acts.js";
import { readable } from "../core/protobuf.js";
import { rememberFinished } from "./finished.js";
import { historyWithLast, type Told } from "./history.js";
import { Line } from "./line.js";
import { giveBackLock } from "./locks.js";
import { mustBeThere } from "./mend.js";
import { cursorAt, type Place, placeOf } from "./paging.js";
import type { Sql } from "./sql.js";
import { type StoredState, Tally } from "./tally.js";

export interface MoveCall {
  readonly selection: MoveSelection;
  readonly to: MoveTarget;
  readonly by: Act;
  readonly limit: number;
  readonly attempts: number;
  readonly cursor: string | undefined;
  readonly nowMs: number;
}

interface Movable extends TaskRef, Place {
  readonly state: StoredState;
  readonly message: Uint8Array;
}

const columns = "queue, id, state, rank, message";
const verbs: Record<MoveTarget, Deed["verb"]> = { pending: "run", archived: "archive", deleted: "delete" };

/** By state, `limit` tasks behind the cursor: one that comes back before them meanwhile is not met again. */
export function move(sql: Sql, call: MoveCall): MoveReceipt {
  const { selection, to, by, nowMs } = call;
  const { queue } = selection;
  const tally = new Tally();
  const mover = moverTo(sql, call);
  const moved: TaskRef[] = [];
  const moveOne = (task: Movable) => {
    mover(task);
    tally.moved(queue, task.state, to === "deleted" ? undefined : to);
    moved.push({ queue, id: task.id });
  };
  let receipt: MoveReceipt;
  if ("ids" in selection) {
    receipt = { receipts: selection.ids.map((id) => moveById(sql, { queue, id }, to, moveOne)) };
  } else {
    const tasks = nextOf(sql, call, queue, selection.state);
    const more = tasks.length > call.limit;
    if (more) tasks.pop();
    for (const task of tasks) moveOne(task);
    receipt = { moved: moved.length, skipped: 0, cursor: more ? cursorAt(tasks.at(-1)!) : undefined };
  }
  tally.write(sql, nowMs);
  if (to === "deleted") rememberFinished(sql, moved, nowMs);
  const what = "ids" in selection ? moved.map(({ id }) => id) : selection.state;
  if (moved.length > 0) recordAct(sql, queue, { verb: verbs[to], what, count: moved.length }, by, nowMs);
  return receipt;
}

function moveById(
  sql: Sql,
  { queue, id }: TaskRef,
  to: MoveTarget,
  moveOne: (task: Movable) => void,
): "moved" | "notFound" | "wrongState" {
  const task = sql(`SELECT ${columns} FROM task WHERE queue = ? AND id = ?`).get(queue, id);
  if (task === undefined) return "notFound";
  const { state } = task as Movable;
  if (state === "active" || state === to) return "wrongState";
  moveOne(task as Movable);
  return "moved";
}

/** One more than is to move, where there are so many. What is active is its worker's, and nothing goes where it is. */
function nextOf(sql: Sql, { to, limit, cursor }: MoveCall, queue: string, state: string): Movable[] {
  if (state === "active" || state === to) return [];
  const { rank, id } = placeOf(cursor, "first");
  const rows = sql(
    `SELECT ${columns} FROM task WHERE queue = ? AND state = ? AND (rank, id) > (?, ?) ORDER BY rank, id LIMIT ?`,
  );
  return rows.all(queue, state, rank, id, limit + 1) as Movable[];
}

function moverTo(sql: Sql, { to, by, attempts, nowMs }: MoveCall): (task: Movable) => void {
  switch (to) {
    case "pending": {
      const line = new Line(sql);
      // Of a quarantined task the crashes are taken back, so that it may crash as often as it has attempts.
      const crashes = Math.max(0, maxCrashes - attempts);
      return ({ queue, id, message }) => {
        const moving = sql(
          "UPDATE task SET state = 'pending', rank = ?, since_ms = ?, crashes = max(0, min(crashes, ?)), message = ? WHERE queue = ? AND id = ?",
        );
        mustBeThere(moving.run(line.behind(queue), nowMs, crashes, bytesToRun(message, attempts), queue, id));
      };
    }
    case "archived": {
      const failure = failureText(archivedBy(by, nowMs));
      return ({ queue, id }) => {
        const known = sql("SELECT failure, history FROM task WHERE queue = ? AND id = ?").get(queue, id);
        const history = historyWithLast(known as Told, failure, false);
        const moving = sql(
          "UPDATE task SET state = 'archived', cancel = NULL, rank = ?, history = ?, failure = ? WHERE queue = ? AND id = ?",
        );
        mustBeThere(moving.run(floorToS(nowMs), history, failure, queue, id));
      };
    }
    case "deleted":
      return (task) => deleteTask(sql, task);
  }
}

function bytesToRun(bytes: Uint8Array, attempts: number): Uint8Array {
  const message = readable(decodeMessage, bytes);
  const next = message && messageToRun(message, attempts);
  return next === undefined || next === message ? bytes : encodeMessage(next);
}

/** With the lock that it may hold. */
export function deleteTask(sql: Sql, { queue, id, message }: Pick<Movable, "queue" | "id" | "message">): void {
  mustBeThere(sql("DELETE FROM task WHERE queue = ? AND id = ?").run(queue, id));
  giveBackLock(sql, readable(decodeMessage, message)?.uniqueKey ?? "", id);
}
