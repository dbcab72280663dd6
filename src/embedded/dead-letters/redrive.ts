import { maxCrashes } from "../../broker/broker.js";
import {
  type ChooseReceipt,
  type Choosing,
  type Chosen,
  type DeadMove,
  type DeadMoveReceipt,
  type DeadMoving,
  type NotMovable,
  type RedriveEnd,
  redriveEnds,
  type RedriveNote,
  type RedrivenPage,
  type RedrivenTask,
  type RedriveStand,
  type StandAsking,
} from "../../broker/redriving.js";
import type { Act } from "../../broker/roles.js";
import { decodeMessage } from "../../core/codec.js";
import { ceilToS } from "../../core/duration.js";
import type { Page } from "../../core/info.js";
import { readable } from "../../core/protobuf.js";
import { recordAct } from "../acts.js";
import { Line } from "../line.js";
import { lockHolder } from "../locks.js";
import { mustBeThere } from "../mend.js";
import { deleteTask } from "../move.js";
import type { Sql } from "../sql.js";
import { Tally } from "../tally.js";

interface Dead {
  readonly state: string;
  readonly at_most_once: number;
  readonly redrive: string | null;
  readonly redrives: number;
  readonly message: Uint8Array;
}

interface Of {
  readonly redrive: string;
  readonly queue: string;
}

export interface ChooseCall extends Of {
  readonly tasks: readonly Chosen[];
  readonly how: Choosing;
  readonly nowMs: number;
}

export function chooseDead(sql: Sql, { redrive, queue, tasks, how, nowMs }: ChooseCall): ChooseReceipt[] {
  return tasks.map(({ id, atMs }): ChooseReceipt => {
    const there = sql("SELECT 1 FROM redriven WHERE redrive = ? AND queue = ? AND id = ?");
    // What has been moved is not dead any more, and is among the chosen all the same.
    if (!how.dry && there.get(redrive, queue, id) !== undefined) return { status: "chosen" };
    const task = readDead(sql, queue, id);
    const wrong = wrongWith(sql, { redrive, queue }, id, task, how.mostRedrives, nowMs);
    if (wrong !== undefined) return wrong;
    if (task!.at_most_once === 1 && !how.mayOnce) return { status: "atMostOnce" };
    if (how.dry) return { status: "chosen" };
    // It may be over by now: who asks late keeps the task from no other one.
    sql(
      `INSERT INTO redriven (redrive, queue, id, became, by_ms, mark, ended_ms)
        VALUES (?1, ?2, ?3, 'left', ?4, '', (SELECT ended_ms FROM redriven WHERE redrive = ?1 AND queue = ?2 AND id = ''))`,
    ).run(redrive, queue, id, ceilToS(atMs) * 1_000);
    sql("UPDATE task SET redrive = ? WHERE queue = ? AND id = ?").run(redrive, queue, id);
    return { status: "chosen" };
  });
}

const readDead = (sql: Sql, queue: string, id: string) =>
  sql("SELECT state, at_most_once, redrive, redrives, message FROM task WHERE queue = ? AND id = ?").get(queue, id) as
    | Dead
    | undefined;

/** Why a task cannot be moved; undefined when it can. */
function wrongWith(
  sql: Sql,
  { redrive, queue }: Of,
  id: string,
  task: Dead | undefined,
  mostRedrives: number,
  nowMs: number,
): { status: NotMovable; holder?: string } | undefined {
  if (task === undefined) return { status: "notFound" };
  if (task.state !== "archived") return { status: "notDead" };
  if (isRedriven(sql, queue, id, task.redrive, redrive)) return { status: "redriving" };
  if (task.redrives >= mostRedrives) return { status: "bound" };
  const lock = readable(decodeMessage, task.message)?.uniqueKey ?? "";
  const holder = lock === "" ? undefined : lockHolder(sql, lock, nowMs);
  return holder === undefined || holder === id ? undefined : { status: "conflict", holder };
}

/** Whether another redrive, one that has not ended, has the task. */
function isRedriven(sql: Sql, queue: string, id: string, named: string | null, redrive: string): boolean {
  if (named === null || named === redrive) return false;
  const has = sql(
    "SELECT 1 FROM redriven WHERE redrive = ? AND queue = ? AND id = ? AND became IN ('left', 'waiting') AND ended_ms IS NULL",
  );
  return has.get(named, queue, id) !== undefined;
}

export interface DeadMoveCall extends Of {
  readonly moves: readonly DeadMove[];
  readonly how: DeadMoving;
  readonly by: Act;
  readonly nowMs: number;
}

export function moveDead(sql: Sql, { redrive, queue, moves, how, by, nowMs }: DeadMoveCall): DeadMoveReceipt[] {
  const tally = new Tally();
  const line = new Line(sql);
  const moved: string[] = [];
  const receipts = moves.map((move): DeadMoveReceipt => {
    const { id } = move;
    if (redrive !== "" && becameOf(sql, redrive, queue, id) !== "left") return { status: "done" };
    const task = readDead(sql, queue, id);
    const wrong = wrongWith(sql, { redrive, queue }, id, task, how.mostRedrives, nowMs);
    // Twice in one list, and moved a moment ago.
    if (moved.includes(id)) return { status: "done" };
    if (wrong !== undefined) return wrong;
    if (Buffer.compare(task!.message, move.expected) !== 0) return { status: "changed" };
    moveOne(sql, { redrive, queue }, move, task!, how, line, nowMs);
    if (redrive !== "") {
      sql("UPDATE redriven SET became = 'waiting', by_ms = ?, mark = ? WHERE redrive = ? AND queue = ? AND id = ?").run(
        how.lookAtMs,
        move.mark,
        redrive,
        queue,
        id,
      );
    }
    tally.moved(queue, "archived", how.to === "away" ? undefined : how.to);
    moved.push(id);
    return { status: "moved" };
  });
  tally.write(sql, nowMs);
  if (moved.length > 0) recordAct(sql, queue, { verb: how.verb, what: moved, count: moved.length }, by, nowMs);
  return receipts;
}

const becameOf = (sql: Sql, redrive: string, queue: string, id: string) =>
  (
    sql("SELECT became FROM redriven WHERE redrive = ? AND queue = ? AND id = ?").get(redrive, queue, id) as
      | { became: string }
      | undefined
  )?.became;

function moveOne(
  sql: Sql,
  { redrive, queue }: Of,
  { id, message }: DeadMove,
  task: Dead,
  { to, dueMs = 0, attempts }: DeadMoving,
  line: Line,
  nowMs: number,
): void {
  if (to === "away") {
    deleteTask(sql, { queue, id, message: task.message });
    return;
  }
  const rank = to === "pending" ? line.behind(queue) : ceilToS(dueMs);
  const moving = sql(
    "UPDATE task SET state = ?, rank = ?, since_ms = ?, crashes = max(0, min(crashes, ?)), message = ?, redrives = redrives + 1, redrive = coalesce(?, redrive) WHERE queue = ? AND id = ?",
  );
  const crashes = Math.max(0, maxCrashes - attempts);
  mustBeThere(moving.run(to, rank, nowMs, crashes, message, redrive === "" ? null : redrive, queue, id));
}

export interface NoteCall extends Of {
  readonly notes: readonly RedriveNote[];
  readonly round: number;
}

export function noteRedriven(sql: Sql, { redrive, queue, notes, round }: NoteCall): void {
  for (const { id, became, mark, cause, lookAtMs = 0, fix } of notes) {
    if (became === "waiting") {
      sql("UPDATE redriven SET by_ms = ? WHERE redrive = ? AND queue = ? AND id = ? AND became = 'waiting'").run(
        lookAtMs,
        redrive,
        queue,
        id,
      );
    } else if (became !== "") {
      sql(
        "UPDATE redriven SET became = ?, mark = ?, cause = ?, round = ? WHERE redrive = ? AND queue = ? AND id = ? AND became = ?",
      ).run(became, mark, cause, round, redrive, queue, id, became === "notMoved" ? "left" : "waiting");
    }
    if (fix?.untilMs !== undefined) {
      sql("UPDATE task SET rank = ? WHERE queue = ? AND id = ? AND state = 'completed' AND message = ?").run(
        ceilToS(fix.untilMs),
        queue,
        id,
        fix.expected,
      );
    } else if (fix?.message !== undefined) {
      sql(
        "UPDATE task SET message = ?, redrive = iif(state = 'archived', NULL, redrive) WHERE queue = ? AND id = ? AND state IN ('archived', 'pending', 'scheduled', 'retry', 'aggregating') AND message = ?",
      ).run(fix.message, queue, id, fix.expected);
    }
  }
}

export interface StandsCall extends StandAsking {
  readonly redrive: string;
  readonly queues: readonly string[];
  readonly nowMs: number;
}

export const redriveStands = (sql: Sql, { queues, ...call }: StandsCall): RedriveStand[] =>
  queues.map((queue) => standOf(sql, queue, call));

function standOf(sql: Sql, queue: string, call: Omit<StandsCall, "queues">): RedriveStand {
  const { redrive, limit, round, nowMs } = call;
  const rows = (became: string, untilMs: number) =>
    sql(
      "SELECT id, by_ms, mark FROM redriven WHERE redrive = ? AND queue = ? AND became = ? AND by_ms <= ? ORDER BY by_ms, id LIMIT ?",
    ).all(redrive, queue, became, untilMs, limit) as { id: string; by_ms: number; mark: string }[];
  const counted = sql(
    "SELECT became, count(*) AS tasks FROM redriven WHERE redrive = ? AND queue = ? GROUP BY became",
  ).all(redrive, queue) as { became: string; tasks: number }[];
  const count = (became: string) => counted.find((one) => one.became === became)?.tasks ?? 0;
  const causes = sql(
    "SELECT cause, count(*) AS ended, sum(became IN ('failedSame', 'failedOther')) AS failed FROM redriven WHERE redrive = ? AND queue = ? AND round = ? AND cause <> '' GROUP BY cause",
  ).all(redrive, queue, round) as { cause: string; ended: number; failed: number }[];
  return {
    left: rows("left", Number.MAX_SAFE_INTEGER).map(({ id, by_ms: atMs }) => ({ id, atMs })),
    due: rows("waiting", nowMs).map(({ id, mark }) => ({ id, mark })),
    counts: {
      left: count("left"),
      waiting: count("waiting"),
      ...(Object.fromEntries(redriveEnds.map((end) => [end, count(end)])) as Record<RedriveEnd, number>),
    },
    causes: Object.fromEntries(causes.map(({ cause, ended, failed }) => [cause, { ended, failed }])),
  };
}

/** What others ended long ago goes along. That it is over has a row of no task, for those that are chosen too late. */
export function endRedrive(
  sql: Sql,
  { redrive, queue, nowMs, keepMs }: Of & { readonly nowMs: number; readonly keepMs: number },
): void {
  sql(
    "INSERT INTO redriven (redrive, queue, id, became, by_ms, mark) VALUES (?, ?, '', 'ended', 0, '') ON CONFLICT DO NOTHING",
  ).run(redrive, queue);
  sql("UPDATE redriven SET ended_ms = ? WHERE redrive = ? AND queue = ?").run(nowMs, redrive, queue);
  sql("DELETE FROM redriven WHERE ended_ms < ?").run(nowMs - keepMs);
}

export interface TasksCall extends Of {
  readonly page: RedrivenPage;
}

export function redrivenTasks(sql: Sql, { redrive, queue, page }: TasksCall): Page<RedrivenTask> {
  const { limit, cursor = "" } = page;
  const items = sql(
    "SELECT id, became, mark FROM redriven WHERE redrive = ? AND queue = ? AND id > ? AND became <> 'left' ORDER BY id LIMIT ?",
  ).all(redrive, queue, cursor, limit) as RedrivenTask[];
  return { items, next: items.length < limit ? undefined : items.at(-1)!.id };
}
