import type {
  Broker,
  Cancellation,
  EnqueueReceipt,
  KeeperOptions,
  LeaseKeeper,
  Progress,
  Promotion,
  ReclaimReceipt,
  TaskRef,
  Turn,
  TurnReply,
} from "../broker/broker.js";
import type { EffectAnswer, EffectStep } from "../broker/effects.js";
import type {
  Act,
  CancelReceipt,
  DropReceipt,
  MoveReceipt,
  MoveSelection,
  MoveTarget,
  PauseReceipt,
  Signal,
  Steering,
  Subscription,
  UpdateReceipt,
} from "../broker/roles.js";
import { DisciplinedClock, systemClock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import type {
  DayStats,
  Page,
  PageRequest,
  QueueInfo,
  Selection,
  StorageInfo,
  TaskInfo,
  WorkerInfo,
} from "../core/info.js";
import type { Incarnation } from "../broker/incarnation.js";
import type { NewTask } from "../core/message.js";
import { tellBroker } from "../core/telemetry.js";
import { UnderWay } from "../core/under-way.js";
import { EmbeddedDeadLetters } from "./dead-letters/embedded-dead-letters.js";
import { EmbeddedAudit } from "./audit.js";
import { memory } from "./database-file.js";
import { acquireLink } from "./shared-links.js";
import { enqueueCalls, leasedTasks, settleRows, taskInfo } from "./rows.js";
import { allParts, answered, inParts } from "./parts.js";
import type { StoreLink } from "./store-link.js";
import { workerInfo, workerText } from "./workers.js";

/** The contract of storage on one SQLite file, shared by processes of one machine, or in memory. */
export class EmbeddedBroker implements Broker {
  readonly label: string;
  readonly clock = new DisciplinedClock();
  readonly deadLetters = new EmbeddedDeadLetters((call) => this.#ask([], call));
  readonly audit = new EmbeddedAudit((call) => this.#ask([], call));
  readonly #location: string;
  readonly #link: StoreLink;
  readonly #release: () => Promise<void>;
  readonly #underWay: UnderWay;
  #closing: Promise<void> | undefined;

  /** `file` is a path, or ":memory:". */
  constructor(file: string) {
    this.label = file === memory ? "memory:" : `file:${file}`;
    this.#underWay = new UnderWay(this.label);
    const shared = acquireLink(file, this.label);
    this.#location = file;
    this.#link = shared.link;
    this.#release = () => shared.release();
  }

  async ping(): Promise<void> {
    await this.#ask([], (link) => link.call("ping", {}));
  }

  /** Long lists travel in parts, each of which is one transaction at the most. */
  async enqueue(tasks: readonly NewTask[], nowMs: number, withinMs?: number): Promise<EnqueueReceipt[]> {
    return this.#ask(
      tasks.map((task) => task.message.id),
      async (link) => {
        const calls = enqueueCalls(tasks, nowMs).map((call) =>
          link.call("enqueue", call, [call.messages.bytes.buffer]),
        );
        return allParts(await answered(Promise.allSettled(calls), withinMs));
      },
    );
  }

  async pending(queues: readonly string[], withinMs?: number): Promise<number[]> {
    return this.#ask([], (link) => answered(link.call("pending", { queues }), withinMs));
  }

  /** What a transaction has written is on the disk. */
  get trustAfterMs(): number {
    return 0;
  }

  async incarnations(queues: readonly string[]): Promise<Incarnation[]> {
    this.#underWay.requireOpen();
    return queues.map(() => ({ id: this.label, persistence: "aof" }));
  }

  async exchange({ settle, lease }: Turn, nowMs: number): Promise<TurnReply> {
    const { rows, messages } = settleRows(settle, nowMs);
    const ids = settle.map(({ task }) => task.lease.id);
    const reply = await this.#ask(ids, (link) =>
      link.call("exchange", { rows, messages, lease, nowMs }, [messages.bytes.buffer]),
    );
    for (const { queue, id, problem } of reply.setAside) {
      tellBroker({ event: "setAside", broker: this.label, queue, id, problem });
    }
    const { settled, more, dry, paused } = reply;
    return { settled, leased: leasedTasks(reply, lease?.requestId ?? ""), more, dry, paused };
  }

  async reclaim(queues: readonly string[], limit: number, nowMs: number): Promise<ReclaimReceipt[]> {
    return this.#ask([], (link) => link.call("reclaim", { queues, limit, nowMs }));
  }

  /** @throws CLOSED */
  keeper(options: KeeperOptions): LeaseKeeper {
    this.#underWay.requireOpen();
    return this.#link.keeper(options);
  }

  async promote(queues: readonly string[], limit: number, nowMs: number): Promise<Promotion> {
    return this.#ask([], (link) => link.call("promote", { queues, limit, nowMs }));
  }

  async prune(queues: readonly string[], limit: number, nowMs: number): Promise<number> {
    return this.#ask([], (link) => link.call("prune", { queues, limit, nowMs }));
  }

  /** The default is for callers without types. */
  async queues(nowMs: number = this.clock.nowMs(), names?: readonly string[]): Promise<QueueInfo[]> {
    return this.#ask([], (link) => link.call("queues", { nowMs, names }));
  }

  async find(refs: readonly TaskRef[]): Promise<(TaskInfo | undefined)[]> {
    const rows = await this.#ask([], (link) => link.call("find", { refs }));
    return rows.map((row) => (row === undefined ? undefined : taskInfo(row)));
  }

  /** By ids the cursor is a place in the list; by type a page may end before it is full. */
  async list(selection: Selection, page: PageRequest): Promise<Page<TaskInfo>> {
    const { queue } = selection;
    if ("ids" in selection) return this.#listIds(queue, selection.ids, page);
    const { state, type } = selection;
    const { items, ...places } = await this.#ask([], (link) => link.call("list", { queue, state, type, page }));
    return { items: items.map(taskInfo), ...places };
  }

  async #listIds(queue: string, ids: readonly string[], page: PageRequest): Promise<Page<TaskInfo>> {
    const { limit, backwards = false } = page;
    const place = page.cursor === undefined ? undefined : Number(page.cursor);
    const start = backwards ? Math.max(0, (place ?? ids.length) - limit) : (place ?? 0);
    const end = backwards ? (place ?? ids.length) : start + limit;
    const found = await this.find(ids.slice(start, end).map((id) => ({ queue, id })));
    return {
      items: found.filter((info) => info !== undefined),
      next: end < ids.length ? String(end) : undefined,
      previous: start > 0 ? String(start) : undefined,
    };
  }

  async move(
    selection: MoveSelection,
    to: MoveTarget,
    by: Act,
    { limit, attempts = 1, cursor }: Parameters<Steering["move"]>[3],
    nowMs: number,
  ): Promise<MoveReceipt> {
    const call = { to, by, limit, attempts, cursor, nowMs };
    if (!("ids" in selection)) return this.#ask([], (link) => link.call("move", { ...call, selection }));
    const { queue, ids } = selection;
    const parts = await this.#ask(ids, async (link) =>
      allParts(
        await Promise.allSettled(
          inParts(ids).map(async (part) => [await link.call("move", { ...call, selection: { queue, ids: part } })]),
        ),
      ),
    );
    return { receipts: parts.flatMap((part) => ("receipts" in part ? part.receipts : [])) };
  }

  async updatePayload(task: TaskRef, payload: Uint8Array, by: Act, nowMs: number): Promise<UpdateReceipt> {
    return this.#ask([task.id], (link) => link.call("updatePayload", { task, payload, by, nowMs }));
  }

  async setPaused(queues: readonly string[], paused: boolean, by: Act, nowMs: number): Promise<PauseReceipt[]> {
    return this.#ask([], (link) => link.call("setPaused", { queues, paused, by, nowMs }));
  }

  async dropQueue(
    queue: string,
    { force, limit }: { readonly force: boolean; readonly limit: number },
    by: Act,
    nowMs: number,
  ): Promise<DropReceipt> {
    return this.#ask([], (link) => link.call("dropQueue", { queue, force, limit, by, nowMs }));
  }

  async cancel(tasks: readonly TaskRef[], how: Cancellation, by: Act, nowMs: number): Promise<CancelReceipt[]> {
    const ids = tasks.map(({ id }) => id);
    return this.#ask(ids, async (link) =>
      allParts(
        await Promise.allSettled(inParts(tasks).map((part) => link.call("cancel", { tasks: part, how, by, nowMs }))),
      ),
    );
  }

  async report(progress: readonly Progress[]): Promise<void> {
    const rows = progress.map(({ lease: { queue, id, token }, bytes }) => ({ queue, id, token, text: String(bytes) }));
    await Promise.all(inParts(rows).map((part) => this.#ask([], (link) => link.call("report", { rows: part }))));
  }

  async remember(steps: readonly EffectStep[]): Promise<EffectAnswer[]> {
    const ids = steps.map(({ lease }) => lease.id);
    return this.#ask(ids, async (link) =>
      allParts(await Promise.allSettled(inParts(steps).map((part) => link.call("remember", { steps: part })))),
    );
  }

  async cancellations(tasks: readonly TaskRef[]): Promise<(Cancellation | undefined)[]> {
    return this.#ask([], (link) => link.call("cancellations", { tasks }));
  }

  async memory(queues: readonly string[]): Promise<number[]> {
    return this.#ask([], (link) => link.call("sizes", { queues }));
  }

  async history(queues: readonly string[], days: number, nowMs: number): Promise<DayStats[][]> {
    return this.#ask([], (link) => link.call("history", { queues, days, nowMs }));
  }

  /** This engine has no groups yet. */
  async groups(_queue: string): Promise<[]> {
    this.#underWay.requireOpen();
    return [];
  }

  async workers(nowMs: number): Promise<WorkerInfo[]> {
    const texts = await this.#ask([], (link) => link.call("workers", { nowMs }));
    return texts.flatMap((text) => workerInfo(text) ?? []).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  async storage(): Promise<StorageInfo> {
    const fields = await this.#ask([], (link) => link.call("storage", {}));
    return { kind: "embedded", nodes: [{ label: this.label, fields: { file: this.#location, ...fields } }] };
  }

  /** No program but Holdfast works on this engine's queues. */
  async announce(worker: WorkerInfo, ttlMs: number, nowMs: number): Promise<{ readonly shared: readonly string[] }> {
    const row = { id: worker.id, info: workerText(worker), untilMs: nowMs + ttlMs };
    await this.#ask([], (link) => link.call("announce", row));
    return { shared: [] };
  }

  async withdraw({ id }: WorkerInfo): Promise<void> {
    await this.#ask([], (link) => link.call("withdraw", { id }));
  }

  async subscribe(queues: readonly string[], listener: (signal: Signal) => void): Promise<Subscription> {
    return this.#ask([], (link) => link.subscribe(queues, listener));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#underWay.end();
    await this.#release();
  }

  /** What goes wrong is told with the name this broker was opened by, and with the tasks concerned. */
  async #ask<T>(taskIds: readonly string[], call: (link: StoreLink) => Promise<T>): Promise<T> {
    try {
      return await this.#underWay.run(() => call(this.#link));
    } catch (error) {
      throw this.#told(error, taskIds);
    } finally {
      this.clock.observe(systemClock.nowMs(), 0);
    }
  }

  #told(error: unknown, taskIds: readonly string[]): unknown {
    const broker = this.label;
    const options = { cause: (error as Error).cause };
    if (HoldfastError.is(error, "BROKER_UNAVAILABLE")) {
      return new HoldfastError("BROKER_UNAVAILABLE", { ...error.data, broker, taskIds }, options);
    }
    if (HoldfastError.is(error, "BROKER_FAILED"))
      return new HoldfastError("BROKER_FAILED", { ...error.data, broker }, options);
    return error;
  }
}
