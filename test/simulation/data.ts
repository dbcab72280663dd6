import type {
  EnqueueReceipt,
  LeasedTask,
  LeaseRequest,
  LostLease,
  Promotion,
  ReclaimReceipt,
  SettleReceipt,
  TaskRef,
  Turn,
  TurnReply,
} from "../../src/broker/broker.js";
import { maxCrashes, minLeaseMs, replayMarginMs } from "../../src/broker/broker.js";
import { ceilToS } from "../../src/core/duration.js";
import { idTimeMs } from "../../src/core/ids.js";
import type { NewTask, TaskMessage } from "../../src/core/message.js";
import { Model, type ModelTask } from "../model/model.js";

export const keyOf = ({ queue, id }: TaskRef) => `${queue} ${id}`;

/**
 * What a server has, and what its scripts do with it: the plain model, with what it leaves out, locks that run out, ids
 * that came through a spool, and turns that are sent again. `nowMs` is what the caller takes for the time, `ownMs` the
 * server's own.
 */
export class Data {
  readonly model = new Model(0);
  readonly messages = new Map<string, TaskMessage>();
  /** Why a task is a dead letter. */
  readonly reasons = new Map<string, string>();
  /** When a task first came, by the server's own time. */
  readonly takenMs = new Map<string, number>();
  readonly #locksUntilMs = new Map<string, number>();
  /** For how long after their end they are remembered, ms. */
  readonly #spooledMs = new Map<string, number>();
  readonly #spooledUntilMs = new Map<string, number>();
  readonly #requests = new Map<string, { readonly token: string; readonly given: readonly TaskRef[] }>();

  enqueue(tasks: readonly NewTask[], nowMs: number, ownMs: number): EnqueueReceipt[] {
    this.model.nowMs = nowMs;
    return tasks.map((task) => this.#enqueue(task, ownMs));
  }

  #enqueue(task: NewTask, ownMs: number): EnqueueReceipt {
    const { message, repeat, spooled = 0, uniqueForMs } = task;
    const key = keyOf(message);
    this.#expireLock(message.uniqueKey, ownMs);
    const isThere = this.model.tasks.has(key);
    const untilMs = repeat && spooled > 0 && !isThere ? this.#spooledUntilMs.get(key) : undefined;
    if (untilMs !== undefined && ownMs <= untilMs) return { status: "enqueued", id: message.id, state: "completed" };
    const receipt = this.model.enqueue(task);
    if (receipt.status !== "enqueued" || !this.model.tasks.has(key)) return receipt;
    if (spooled > 0 && repeat) this.#spooledMs.set(key, ceilToS(spooled) * 1_000);
    if (isThere) return receipt;
    this.messages.set(key, message);
    this.takenMs.set(key, ownMs);
    if (uniqueForMs > 0) this.#locksUntilMs.set(message.uniqueKey, ownMs + ceilToS(uniqueForMs) * 1_000);
    return receipt;
  }

  exchange({ settle, lease }: Turn, nowMs: number): TurnReply {
    this.model.nowMs = nowMs;
    const settled = this.#settle(settle);
    if (lease === undefined) return { settled, leased: [], more: false, dry: [], paused: [] };
    const before = this.#requests.get(lease.workerId);
    const again = before?.token === lease.requestId;
    const given = again ? this.#leaseAgain(lease, before.given) : this.model.lease(lease);
    if (!again && given.length > 0) this.#requests.set(lease.workerId, { token: lease.requestId, given });
    const dry = lease.queues.filter((queue) => this.model.line(queue).length === 0);
    return { settled, leased: given.map((task) => this.#leased(task)), more: again, dry, paused: [] };
  }

  #settle(settle: Turn["settle"]): SettleReceipt[] {
    const receipts = this.model.settle(settle);
    for (const [n, { task, outcome }] of settle.entries()) {
      if (receipts[n] !== "settled") continue;
      const key = keyOf(task.lease);
      // The worker goes by what it was told with the lease: a task that is repeated by a spool since is not known as spooled.
      if (!this.model.tasks.has(key)) this.#forget(key, task.spooled);
      else if (outcome.kind === "archived") this.reasons.set(key, outcome.failure.reason);
    }
    return receipts;
  }

  /** The reply was lost: what is still held is given again. */
  #leaseAgain({ requestId: token, leaseMs }: LeaseRequest, given: readonly TaskRef[]): ModelTask[] {
    return given.flatMap((ref) => {
      const task = this.model.holds({ queue: ref.queue, id: ref.id, token });
      if (task !== undefined) task.untilS = this.#untilS(leaseMs);
      return task ?? [];
    });
  }

  /** Answers which of them are gone. */
  renew(leases: readonly LostLease[], leaseMs: number, nowMs: number): LostLease[] {
    this.model.nowMs = nowMs;
    return leases.filter((lease) => {
      const task = this.model.holds(lease);
      // A longer one stays as it is.
      if (task !== undefined) task.untilS = Math.max(task.untilS, this.#untilS(leaseMs));
      return task === undefined;
    });
  }

  reclaim(queues: readonly string[], limit: number, nowMs: number): ReclaimReceipt[] {
    this.model.nowMs = nowMs;
    const receipts = this.model.reclaim(queues, limit);
    for (const receipt of receipts.filter(({ to }) => to === "archived"))
      this.reasons.set(keyOf(receipt), receipt.crashes >= maxCrashes ? "quarantined" : "lease_expired");
    return receipts;
  }

  promote(queues: readonly string[], limit: number, nowMs: number): Promotion {
    this.model.nowMs = nowMs;
    return this.model.promote(queues, limit);
  }

  prune(queues: readonly string[], limit: number, nowMs: number): number {
    this.model.nowMs = nowMs;
    const count = this.model.prune(queues, limit);
    if (count > 0)
      for (const key of this.messages.keys())
        if (!this.model.tasks.has(key)) this.#forget(key, this.#spooledMs.get(key));
    return count;
  }

  /** Of a task that is there; what has been counted since is in it. */
  messageOf(task: ModelTask): TaskMessage {
    return { ...this.messages.get(keyOf(task))!, retried: task.retried };
  }

  /** Those that have not run out. */
  locks(ownMs: number): Map<string, string> {
    for (const key of this.#locksUntilMs.keys()) this.#expireLock(key, ownMs);
    return this.model.locks;
  }

  #leased(task: ModelTask): LeasedTask {
    const { queue, id, token, untilS, crashes, returns, atMostOnce } = task;
    const lease = { queue, id, token, untilMs: untilS * 1_000 };
    const spooled = this.#spooledMs.get(keyOf(task));
    return {
      message: this.messageOf(task),
      lease,
      crashes,
      returns,
      atMostOnce,
      ...(spooled !== undefined && { spooled }),
    };
  }

  #untilS(leaseMs: number): number {
    return ceilToS(this.model.nowMs + Math.max(leaseMs, minLeaseMs));
  }

  #forget(key: string, spooledMs = 0): void {
    const message = this.messages.get(key);
    this.messages.delete(key);
    this.reasons.delete(key);
    this.#spooledMs.delete(key);
    if (spooledMs === 0 || message === undefined || idTimeMs(message.id) === undefined) return;
    // In a set of its own, and in no other.
    this.model.finished.delete(key);
    this.#spooledUntilMs.set(key, this.model.nowMs + Math.max(replayMarginMs, spooledMs));
  }

  #expireLock(key: string, ownMs: number): void {
    if ((this.#locksUntilMs.get(key) ?? Infinity) > ownMs) return;
    this.model.locks.delete(key);
    this.#locksUntilMs.delete(key);
  }
}
