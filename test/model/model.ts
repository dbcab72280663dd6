import {
  type EnqueueReceipt,
  type LeasedTask,
  type LeaseRequest,
  maxCrashes,
  minLeaseMs,
  type Promotion,
  type ReclaimReceipt,
  repeatHorizonMs,
  type SettleReceipt,
  type TaskRef,
} from "../../src/broker/broker.js";
import { encodeMessage } from "../../src/core/codec.js";
import { ceilToS, floorToS } from "../../src/core/duration.js";
import { idTimeMs } from "../../src/core/ids.js";
import type { NewTask } from "../../src/core/message.js";
import type { Outcome } from "../../src/core/outcome.js";
import type { TaskState } from "../../src/core/state.js";

/** A task as the model has it; times are whole Unix seconds. */
export interface ModelTask extends TaskRef {
  state: Exclude<TaskState, "aggregating">;
  /** When it is due (scheduled, retry), expires (completed) or loses its lease (active). */
  untilS: number;
  token: string;
  retried: number;
  crashes: number;
  returns: number;
  readonly atMostOnce: boolean;
  /** What was sent, as long as nothing else has been stored since. */
  sent: string | undefined;
  readonly uniqueKey: string;
  readonly retentionMs: number;
}

const keyOf = ({ queue, id }: TaskRef) => `${queue} ${id}`;

const isLast = ({ crashes }: ModelTask) => crashes >= maxCrashes - 1;

/** What an engine should do, written to be read: one list of tasks, one line a queue, and no eye on speed. */
export class Model {
  nowMs: number;
  readonly tasks = new Map<string, ModelTask>();
  /** Ids in the order of running. */
  readonly lines = new Map<string, string[]>();
  readonly totals = new Map<string, { processed: number; failed: number }>();
  /** Who holds a unique lock. Locks never run out here: on Redis that is decided by its own clock. */
  readonly locks = new Map<string, string>();
  /** When a task with a young id of ours was over and deleted, ms. */
  readonly finished = new Map<string, number>();

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  enqueue({ message, processAtMs, uniqueForMs, atMostOnce, repeat }: NewTask): EnqueueReceipt {
    const { queue, id, uniqueKey, retentionMs, retried } = message;
    const there = this.tasks.get(keyOf(message));
    const sent = Buffer.from(encodeMessage(message)).toString("hex");
    // An id of ours is given once; any other may be another task's.
    if (repeat && there !== undefined) {
      const same = idTimeMs(id) !== undefined || there.sent === sent;
      return same ? { status: "enqueued", id, state: there.state } : { status: "idTaken", id };
    }
    if (repeat && this.isFinishedLately(message)) return { status: "enqueued", id, state: "completed" };
    const holder = uniqueForMs > 0 ? this.locks.get(uniqueKey) : undefined;
    if (holder !== undefined && !(repeat && holder === id)) return { status: "duplicate", id: holder };
    if (there !== undefined) return { status: "idTaken", id };

    const state = processAtMs > this.nowMs ? "scheduled" : "pending";
    const untilS = ceilToS(processAtMs);
    this.tasks.set(keyOf(message), {
      queue,
      id,
      state,
      untilS,
      token: "",
      retried,
      crashes: 0,
      returns: 0,
      atMostOnce,
      sent,
      retentionMs,
      uniqueKey: uniqueForMs > 0 ? uniqueKey : "",
    });
    if (uniqueForMs > 0) this.locks.set(uniqueKey, id);
    if (state === "pending") this.#line(queue).push(id);
    this.#count(queue, 0, 0);
    return { status: "enqueued", id, state };
  }

  isFinishedLately(ref: TaskRef): boolean {
    return this.nowMs - (this.finished.get(keyOf(ref)) ?? Number.NEGATIVE_INFINITY) <= repeatHorizonMs;
  }

  holds({ queue, id, token }: TaskRef & { readonly token: string }): ModelTask | undefined {
    const task = this.tasks.get(keyOf({ queue, id }));
    return task?.state === "active" && task.token === token ? task : undefined;
  }

  settle(settlements: readonly { readonly task: LeasedTask; readonly outcome: Outcome }[]): SettleReceipt[] {
    const released: ModelTask[] = [];
    const receipts = settlements.map(({ task: { lease }, outcome }): SettleReceipt => {
      const task = this.holds(lease);
      if (task === undefined) return "leaseLost";
      task.token = "";
      this.#settleOne(task, outcome);
      if (outcome.kind === "released") released.push(task);
      return "settled";
    });
    for (const task of released.toReversed()) this.#line(task.queue).unshift(task.id);
    return receipts;
  }

  #settleOne(task: ModelTask, outcome: Outcome): void {
    switch (outcome.kind) {
      case "completed":
        this.#count(task.queue, 1, 0);
        this.#unlock(task);
        if (task.retentionMs === 0) return this.#forget(task);
        task.state = "completed";
        task.sent = undefined;
        task.untilS = floorToS(this.nowMs) + task.retentionMs / 1_000;
        return;
      case "revoked":
        this.#count(task.queue, 1, 0);
        this.#unlock(task);
        return this.#forget(task);
      case "retry":
        if (outcome.counts) {
          task.retried += 1;
          this.#count(task.queue, 1, 1);
        } else task.returns += 1;
        task.state = "retry";
        task.sent = undefined;
        task.untilS = ceilToS(outcome.atMs);
        return;
      case "archived":
        this.#count(task.queue, 1, 1);
        task.state = "archived";
        task.sent = undefined;
        return;
      case "released":
        if (outcome.unstarted !== true) task.returns += 1;
        task.state = "pending";
        return;
    }
    outcome satisfies never;
  }

  lease({ queues, limit, leaseMs, suspects, requestId, startable = limit, limits = {} }: LeaseRequest): ModelTask[] {
    const leased: ModelTask[] = [];
    let doubtful = suspects;
    let most = limit;
    for (const queue of queues) {
      const before = leased.length;
      for (const id of this.#line(queue).slice()) {
        const task = this.tasks.get(keyOf({ queue, id }))!;
        if (leased.length >= Math.min(most, before + (limits[queue] ?? limit))) break;
        if (task.crashes > 0 && doubtful === 0) continue;
        // One whose next crash would be its last goes alone, or later.
        if (leased.some(isLast) || (leased.length > 0 && isLast(task))) continue;
        // Not leased ahead, nor is anything beside it, or in its stead.
        if ((task.crashes > 0 || task.atMostOnce) && leased.length >= startable) {
          most = leased.length;
          break;
        }
        if (task.crashes > 0) [doubtful, most] = [doubtful - 1, Math.min(most, startable)];
        this.#line(queue).splice(this.#line(queue).indexOf(id), 1);
        task.state = "active";
        task.token = requestId;
        task.untilS = ceilToS(this.nowMs + Math.max(leaseMs, minLeaseMs));
        leased.push(task);
      }
    }
    return leased;
  }

  reclaim(queues: readonly string[], limit: number): ReclaimReceipt[] {
    const receipts: ReclaimReceipt[] = [];
    for (const queue of queues) {
      const back: string[] = [];
      for (const task of this.#due(queue, "active", limit - receipts.length)) {
        task.token = "";
        task.crashes += 1;
        task.state = task.atMostOnce || task.crashes >= maxCrashes ? "archived" : "pending";
        if (task.state === "pending") back.push(task.id);
        else {
          this.#count(queue, 1, 1);
          task.sent = undefined;
        }
        receipts.push({ queue, id: task.id, to: task.state, crashes: task.crashes });
      }
      this.#line(queue).unshift(...back);
    }
    return receipts;
  }

  promote(queues: readonly string[], limit: number): Promotion {
    let moved = 0;
    for (const queue of queues) {
      for (const state of ["scheduled", "retry"] as const) {
        for (const task of this.#due(queue, state, limit - moved)) {
          task.state = "pending";
          this.#line(queue).push(task.id);
          moved += 1;
        }
      }
    }
    const waiting = [...this.tasks.values()].filter(
      ({ queue, state }) => queues.includes(queue) && (state === "scheduled" || state === "retry"),
    );
    const nextS = Math.min(...waiting.map(({ untilS }) => untilS));
    return { moved, nextDueMs: waiting.length === 0 ? undefined : nextS * 1_000 };
  }

  prune(queues: readonly string[], limit: number): number {
    let pruned = 0;
    for (const queue of queues) {
      for (const task of this.#due(queue, "completed", limit - pruned)) {
        this.#forget(task);
        pruned += 1;
      }
    }
    return pruned;
  }

  line(queue: string): readonly string[] {
    return this.#line(queue);
  }

  counts(queue: string): Partial<Record<TaskState, number>> {
    const counts: Partial<Record<TaskState, number>> = {};
    for (const task of this.tasks.values()) {
      if (task.queue === queue) counts[task.state] = (counts[task.state] ?? 0) + 1;
    }
    return counts;
  }

  /** Those of a state whose time has come: by time, then by id. */
  #due(queue: string, state: TaskState, limit: number): ModelTask[] {
    return [...this.tasks.values()]
      .filter((task) => task.queue === queue && task.state === state && task.untilS <= floorToS(this.nowMs))
      .toSorted((a, b) => a.untilS - b.untilS || (a.id < b.id ? -1 : 1))
      .slice(0, Math.max(0, limit));
  }

  #forget(task: ModelTask): void {
    this.tasks.delete(keyOf(task));
    const madeMs = idTimeMs(task.id);
    if (madeMs === undefined || Math.abs(this.nowMs - madeMs) > repeatHorizonMs) return;
    this.finished.set(keyOf(task), this.nowMs);
  }

  #unlock({ uniqueKey, id }: ModelTask): void {
    if (this.locks.get(uniqueKey) === id) this.locks.delete(uniqueKey);
  }

  #line(queue: string): string[] {
    const line = this.lines.get(queue) ?? [];
    this.lines.set(queue, line);
    return line;
  }

  #count(queue: string, processed: number, failed: number): void {
    const total = this.totals.get(queue) ?? { processed: 0, failed: 0 };
    this.totals.set(queue, { processed: total.processed + processed, failed: total.failed + failed });
  }
}
