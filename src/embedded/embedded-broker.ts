import type {
  Broker,
  EnqueueReceipt,
  KeeperOptions,
  LeaseKeeper,
  Promotion,
  ReclaimReceipt,
  TaskRef,
  Turn,
  TurnReply,
} from "../broker/broker.js";
import { DisciplinedClock, systemClock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import type { Page, PageRequest, QueueInfo, Selection, TaskInfo } from "../core/info.js";
import type { NewTask } from "../core/message.js";
import { tellBroker } from "../core/telemetry.js";
import { memory } from "./database-file.js";
import { acquireLink } from "./shared-links.js";
import { enqueueCalls, leasedTasks, settleRows, taskInfo } from "./rows.js";
import type { StoreLink } from "./store-link.js";

/** The contract of storage on one SQLite file, shared by processes of one machine, or in memory. */
export class EmbeddedBroker implements Broker {
  readonly label: string;
  readonly clock = new DisciplinedClock();
  readonly #link: StoreLink;
  readonly #release: () => Promise<void>;
  readonly #underWay = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  /** `file` is a path, or ":memory:". */
  constructor(file: string) {
    this.label = file === memory ? "memory:" : `file:${file}`;
    const shared = acquireLink(file, this.label);
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
        const parts = await answered(Promise.allSettled(calls), withinMs);
        const failed = parts.find((part) => part.status === "rejected");
        if (failed === undefined)
          return parts.flatMap((part) => (part as PromiseFulfilledResult<EnqueueReceipt[]>).value);
        throw parts.some((part) => part.status === "fulfilled") ? unknownOutcome(failed.reason) : failed.reason;
      },
    );
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
    this.#requireOpen();
    return this.#link.keeper(options);
  }

  async promote(queues: readonly string[], limit: number, nowMs: number): Promise<Promotion> {
    return this.#ask([], (link) => link.call("promote", { queues, limit, nowMs }));
  }

  async prune(queues: readonly string[], limit: number, nowMs: number): Promise<number> {
    return this.#ask([], (link) => link.call("prune", { queues, limit, nowMs }));
  }

  /** The default is for callers without types. */
  async queues(nowMs: number = this.clock.nowMs()): Promise<QueueInfo[]> {
    return this.#ask([], (link) => link.call("queues", { nowMs }));
  }

  async find(refs: readonly TaskRef[]): Promise<(TaskInfo | undefined)[]> {
    const rows = await this.#ask([], (link) => link.call("find", { refs }));
    return rows.map((row) => (row === undefined ? undefined : taskInfo(row)));
  }

  /** By ids the cursor is a place in the list; by state a page may hold fewer than `limit` where a type or group is asked for. */
  async list(selection: Selection, page: PageRequest): Promise<Page<TaskInfo>> {
    const { queue } = selection;
    if ("ids" in selection) {
      const start = Number(page.cursor ?? 0);
      const found = await this.find(selection.ids.slice(start, start + page.limit).map((id) => ({ queue, id })));
      const end = start + page.limit;
      return {
        items: found.filter((info) => info !== undefined),
        next: end < selection.ids.length ? String(end) : undefined,
      };
    }
    const { state, type, group } = selection;
    const { limit, cursor } = page;
    const { items, next } = await this.#ask([], (link) => link.call("list", { queue, state, limit, cursor }));
    const wanted = ({ message }: TaskInfo) =>
      (type === undefined || message?.type === type) && (group === undefined || message?.group === group);
    return { items: items.map(taskInfo).filter(wanted), next };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#underWay);
    await this.#release();
  }

  #requireOpen(): void {
    if (this.#closing !== undefined) throw new HoldfastError("CLOSED", { what: this.label });
  }

  /** What goes wrong is told with the name this broker was opened by, and with the tasks concerned. */
  async #ask<T>(taskIds: readonly string[], call: (link: StoreLink) => Promise<T>): Promise<T> {
    this.#requireOpen();
    const answer = call(this.#link);
    this.#underWay.add(answer);
    try {
      return await answer;
    } catch (error) {
      throw this.#told(error, taskIds);
    } finally {
      this.#underWay.delete(answer);
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

/**
 * Another process may hold the file for long. What was asked is carried out all the same, so the outcome is unknown.
 * @throws BROKER_UNAVAILABLE after `withinMs`
 */
async function answered<T>(answer: Promise<T>, withinMs: number | undefined): Promise<T> {
  if (withinMs === undefined || withinMs > longestTimerMs) return answer;
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    const problem = `no answer within ${Math.max(0, Math.ceil(withinMs))} ms`;
    const give = () =>
      reject(new HoldfastError("BROKER_UNAVAILABLE", { broker: "", problem, outcome: "unknown", taskIds: [] }));
    // Timers run before what has arrived meanwhile is read, immediates after it: a blocked event loop is no late answer.
    timer = setTimeout(() => setImmediate(give), withinMs);
  });
  return Promise.race([answer, expired]).finally(() => clearTimeout(timer));
}

/** Node's timers know no more. */
const longestTimerMs = 2 ** 31 - 1;

/** A part of the list is stored: sent again as it is, those tasks would find their own ids taken. */
function unknownOutcome(error: unknown): unknown {
  if (!HoldfastError.is(error, "BROKER_UNAVAILABLE")) return error;
  return new HoldfastError("BROKER_UNAVAILABLE", { ...error.data, outcome: "unknown" }, { cause: error.cause });
}
