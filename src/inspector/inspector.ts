import type { Broker, Looking, TaskRef } from "../broker/broker.js";
import type { Act, CancelReceipt, Inspecting, MoveTarget, Steering, UpdateReceipt } from "../broker/roles.js";
import type { FailedOver } from "../broker/standstill.js";
import { HoldfastError, invalidOption, shown } from "../core/errors.js";
import { newId } from "../core/ids.js";
import type { DayStats, QueueInfo, Selection, StorageInfo, TaskInfo } from "../core/info.js";
import { storedName } from "../core/names.js";
import { encodeWithin, json, rawBytes } from "../core/payload.js";
import { portions } from "../core/portions.js";
import { type QueueList, queueList, unavailableQueues } from "../core/queue-list.js";
import { resolve } from "../core/settings.js";
import { shownTask, shownTasks } from "../core/shown-task.js";
import { type WorkerList, workerList } from "../core/worker-list.js";
import { type IdsMoved, moveIds, type Moving, moveState, moveType, type StateMoved } from "./bulk.js";
import * as given from "./options.js";
import * as maintaining from "./maintenance.js";
import { type Outage, outagesFrom } from "./outages.js";
import { pageOf, pagesOf, scanPage, type TaskPage } from "./pages.js";
import { checkedSelection, type IdSelection, requireMovable, type StateSelection } from "./selection.js";

/** What an inspector needs of a broker. */
export type InspectorBroker = Looking &
  Steering &
  Inspecting &
  Pick<Broker, "label" | "clock" | "standstills" | "readOutages">;

export interface UpdateResult {
  /**
   * `wrongState`: it is active, completed, archived or in a group. `duplicate`: it is unique, and another task holds the
   * lock of the new payload.
   */
  readonly status: UpdateReceipt;
}

export interface CancelResult {
  /** In the order of the ids; `requested`: the worker that runs it is asked to. */
  readonly receipts: readonly { readonly id: string; readonly status: CancelReceipt }[];
}

/** A queue that is dropped must have fewer tasks after so many calls: else they come faster than they go. */
const callsBetweenCounts = 100;

/**
 * Sees and steers queues and tasks, whoever put them there. Every act says who did it, why, and under which request.
 *
 * @example
 * const inspector = new Inspector(connect("redis://localhost:6379"));
 * const [queue] = await inspector.queues();
 * await inspector.run({ queue: "default", state: "archived" }, { reason: "the bank is open again" });
 */
export class Inspector {
  readonly #broker: InspectorBroker;
  readonly #actor: string;
  readonly #maxPayloadBytes: number;

  constructor(broker: InspectorBroker, options?: given.InspectorOptions) {
    if (typeof broker?.move !== "function" || typeof broker.history !== "function")
      throw invalidOption("Inspector", `takes what connect() answers, got ${shown(broker)}`);
    const { actor, maxPayloadBytes } = resolve(given.inspectorSettings, options, "Inspector");
    this.#broker = broker;
    this.#actor = actor ?? given.thisProcess();
    this.#maxPayloadBytes = maxPayloadBytes;
  }

  /**
   * All queues, by name. While a node of a Cluster is away: those of the others, and as `unavailable` which could not be
   * asked, and why.
   * @throws BROKER_UNAVAILABLE where storage as a whole is away, or the node that has the names of all queues
   */
  async queues(): Promise<QueueList> {
    return this.#queues();
  }

  /** @throws QUEUE_NOT_FOUND BROKER_UNAVAILABLE also where the node of a Cluster that has it is away */
  async queue(name: string): Promise<QueueInfo> {
    const queue = storedName(name, "queue");
    const found = await this.#queues([queue]);
    const [missing] = found.unavailable;
    if (missing !== undefined) throw unavailableQueues(this.#broker.label, [missing]);
    if (found[0] === undefined) throw new HoldfastError("QUEUE_NOT_FOUND", { queue });
    return found[0];
  }

  /** Estimated bytes that each of these queues takes in storage, in the same order; 0 for one that there is not. */
  async memory(queues: readonly string[]): Promise<number[]> {
    return this.#broker.memory(given.queueNames(queues, "memory.queues"));
  }

  /** The last days (UTC), today first. @param days 1 … 90, default 10 @throws QUEUE_NOT_FOUND */
  async history(queue: string, days?: number): Promise<DayStats[]>;
  /** Those of each of these queues, in the same order; of one that there is not, days on which nothing happened. */
  async history(queues: readonly string[], days?: number): Promise<DayStats[][]>;
  async history(of: string | readonly string[], days?: number): Promise<DayStats[] | DayStats[][]> {
    const last = given.historyDays(days ?? 10);
    if (typeof of === "object" && of !== null) {
      return this.#broker.history(given.queueNames(of, "history.queues"), last, this.#broker.clock.nowMs());
    }
    const { name } = await this.queue(of);
    const [history] = await this.#broker.history([name], last, this.#broker.clock.nowMs());
    return history ?? [];
  }

  /** The groups of a queue that hold tasks, and how many. @throws QUEUE_NOT_FOUND */
  async groups(queue: string): Promise<{ readonly name: string; readonly count: number }[]> {
    const { name } = await this.queue(queue);
    return this.#broker.groups(name);
  }

  /** The task; `undefined` when there is none. What looks like a secret is taken out of texts of failures, here and in lists. */
  async find(queue: string, id: string): Promise<TaskInfo | undefined> {
    const [task] = await this.#broker.find([refOf(queue, id, "find")]);
    return task && shownTask(task);
  }

  /** The task. @throws TASK_NOT_FOUND */
  async require(queue: string, id: string): Promise<TaskInfo> {
    const ref = refOf(queue, id, "require");
    const [task] = await this.#broker.find([ref]);
    if (task === undefined) throw new HoldfastError("TASK_NOT_FOUND", { queue: ref.queue, id: ref.id });
    return shownTask(task);
  }

  /**
   * One page of a state: pending as they will run, the others by time. An unknown queue is empty. With a `type` at most
   * 5,000 tasks are looked at: a page may then hold few or none although more follow (`next`).
   */
  async list(selection: Selection, options?: given.ListOptions): Promise<TaskPage> {
    const checked = checkedSelection(selection, "list");
    return shownTasks(await pageOf(this.#broker, checked, given.listOptions(options, "list")));
  }

  /** All tasks of a selection, page by page; backwards: the last one first. Does not end before the tasks do, also where they keep coming. */
  tasks(selection: Selection, options?: Pick<given.ListOptions, "backwards">): AsyncGenerator<TaskInfo, void> {
    const { type, ...checked } = { type: undefined, ...checkedSelection(selection, "tasks") };
    return tasksOf(this.#broker, checked, type, given.listOptions(options, "tasks").backwards);
  }

  /**
   * Lets tasks run now that are scheduled, in retry, archived, completed or in a group. Of a state: all that are there
   * when it begins, in batches. They have at least `attempts` more runs.
   * @throws QUEUE_NOT_FOUND for a state of a queue that there is not; ids have receipts
   * @throws BULK_INTERRUPTED with what was done, when storage fails after the first batch
   */
  run(selection: IdSelection, options?: given.RunOptions): Promise<IdsMoved>;
  run(selection: StateSelection, options?: given.RunOptions): Promise<StateMoved>;
  run(selection: Selection, options?: given.RunOptions): Promise<IdsMoved | StateMoved>;
  async run(selection: Selection, options?: given.RunOptions): Promise<IdsMoved | StateMoved> {
    return this.#move(selection, "pending", "run", options);
  }

  /** Makes tasks dead letters: kept, and not run by themselves. As `run`. */
  archive(selection: IdSelection, options?: given.BulkOptions): Promise<IdsMoved>;
  archive(selection: StateSelection, options?: given.BulkOptions): Promise<StateMoved>;
  archive(selection: Selection, options?: given.BulkOptions): Promise<IdsMoved | StateMoved>;
  async archive(selection: Selection, options?: given.BulkOptions): Promise<IdsMoved | StateMoved> {
    return this.#move(selection, "archived", "archive", options);
  }

  /** Deletes tasks for good, and releases their unique locks. As `run`. */
  delete(selection: IdSelection, options?: given.BulkOptions): Promise<IdsMoved>;
  delete(selection: StateSelection, options?: given.BulkOptions): Promise<StateMoved>;
  delete(selection: Selection, options?: given.BulkOptions): Promise<IdsMoved | StateMoved>;
  async delete(selection: Selection, options?: given.BulkOptions): Promise<IdsMoved | StateMoved> {
    return this.#move(selection, "deleted", "delete", options);
  }

  /**
   * Another payload for a task that is pending, scheduled or in retry. A value is written as JSON, a Uint8Array as it is.
   * @throws PAYLOAD_INVALID PAYLOAD_TOO_LARGE
   */
  async updatePayload(queue: string, id: string, payload: unknown, options?: given.ByOptions): Promise<UpdateResult> {
    const ref = refOf(queue, id, "updatePayload");
    const by = this.#act(given.byOptions(options, "updatePayload"));
    const [task] = await this.#broker.find([ref]);
    if (task === undefined) return { status: "notFound" };
    const codec = payload instanceof Uint8Array ? rawBytes : json;
    const bytes = encodeWithin(codec, payload, task.message?.type ?? "", this.#maxPayloadBytes);
    return { status: await this.#broker.updatePayload(ref, bytes, by, this.#broker.clock.nowMs()) };
  }

  /** No task of the queue is leased until it is resumed; it still takes tasks. @throws QUEUE_NOT_FOUND */
  async pause(queue: string, options?: given.ByOptions): Promise<{ readonly changed: boolean }> {
    return this.#setPaused(queue, true, "pause", options);
  }

  /** @throws QUEUE_NOT_FOUND */
  async resume(queue: string, options?: given.ByOptions): Promise<{ readonly changed: boolean }> {
    return this.#setPaused(queue, false, "resume", options);
  }

  /**
   * Removes a queue and all that belongs to it. Stopped by its signal it answers `dropped: false` and leaves the queue
   * paused, with what is left of it: call again to finish.
   * @throws QUEUE_NOT_FOUND TASK_ACTIVE
   * @throws QUEUE_NOT_EMPTY without `force`; with it, when tasks kept coming
   */
  async drop(queue: string, options?: given.DropOptions): Promise<{ readonly dropped: boolean }> {
    const { force, signal, ...rest } = given.dropOptions(options);
    const by = this.#act(rest);
    const name = storedName(queue, "drop.queue");
    let tasks = await this.#taskCount(name);
    for (let calls = 1; ; calls += 1) {
      if (signal?.aborted === true) return { dropped: false };
      const nowMs = this.#broker.clock.nowMs();
      const receipt = await this.#broker.dropQueue(name, { force, limit: given.maxBatch }, by, nowMs);
      switch (receipt) {
        case "dropped":
          return { dropped: true };
        case "notFound":
          throw new HoldfastError("QUEUE_NOT_FOUND", { queue: name });
        case "active":
          throw new HoldfastError("TASK_ACTIVE", { queue: name });
        case "notEmpty":
          throw new HoldfastError("QUEUE_NOT_EMPTY", { queue: name });
        case "more":
          if (calls % callsBetweenCounts > 0) break;
          const left = await this.#taskCount(name);
          if (left > 0 && left >= tasks) throw new HoldfastError("QUEUE_NOT_EMPTY", { queue: name });
          tasks = left;
      }
    }
  }

  /** Asks the workers that run these tasks to abort them: to be tried again as after a failure, or archived at once. */
  async cancel(selection: IdSelection, options?: given.CancelOptions): Promise<CancelResult> {
    const { retry, ...rest } = given.cancelOptions(options);
    const by = this.#act(rest);
    const checked = checkedSelection(selection, "cancel");
    if (!("ids" in checked)) throw invalidOption("cancel.selection.ids", "must be a list of ids");
    const { queue, ids } = checked;
    const receipts: { id: string; status: CancelReceipt }[] = [];
    for (const some of portions(ids, given.maxBatch)) {
      const refs = some.map((id) => ({ queue, id }));
      const answers = await this.#broker.cancel(refs, retry ? "retry" : "archive", by, this.#broker.clock.nowMs());
      receipts.push(...answers.map((status, n) => ({ id: some[n]!, status })));
    }
    return { receipts };
  }

  /**
   * Before work on Redis itself: all queues that there are refuse tasks, which go to spools, or fail typed, and start none,
   * until `endMaintenance` or the time is up; then waits for what runs and for the replicas. Answers also where those did
   * not get ready in time: see `ready`. Queues that come into being meanwhile take tasks, and so do all with Go's clients.
   * @throws OPTION_INVALID on the embedded engine
   */
  async beginMaintenance(options?: given.MaintenanceOptions): Promise<maintaining.MaintenanceBegun> {
    const checked = given.maintenanceOptions(options);
    return maintaining.beginMaintenance(this.#broker, this.#act(checked), checked);
  }

  /** All queues go on, also where their time was over; then waits for the replicas. @throws OPTION_INVALID as above */
  async endMaintenance(options?: given.ByOptions): Promise<maintaining.MaintenanceEnded> {
    return maintaining.endMaintenance(this.#broker, this.#act(given.byOptions(options, "endMaintenance")));
  }

  /** The queues that stand still. @throws OPTION_INVALID on the embedded engine */
  async maintenance(): Promise<maintaining.QueueMaintenance[]> {
    return maintaining.maintenanceOf(this.#broker);
  }

  /**
   * Have the Sentinels make a replica the master without losing what was acknowledged: the master takes no writes, of
   * anybody, until all replicas have what it has and it follows the new one. With maintenance begun or without.
   * @throws OPTION_INVALID for Redis without Sentinels, with what to type there
   * @throws BROKER_INCOMPATIBLE without a replica, or the right to it; BROKER_UNAVAILABLE when it did not come about in time
   */
  async failOver(options?: given.FailOverOptions): Promise<FailedOver> {
    const { withinMs, ...by } = given.failOverOptions(options);
    return maintaining.failOver(this.#broker, this.#act(by), withinMs);
  }

  /**
   * Workers that are alive, those of other programs on the same storage included, and what they run. While a node of a
   * Cluster is away: those of the others, and as `unavailable` of whom nothing can be told, and why.
   * @throws BROKER_UNAVAILABLE where storage as a whole is away, or the node that lists all workers
   */
  async workers(): Promise<WorkerList> {
    const nowMs = this.#broker.clock.nowMs();
    return this.#broker.workersThere?.(nowMs) ?? workerList(await this.#broker.workers(nowMs));
  }

  /** What storage says of itself. */
  async storage(): Promise<StorageInfo> {
    return this.#broker.storage();
  }

  /**
   * Times in which storage was away or lost data, the last one first, as far as clients and workers have written about
   * them; none on a file or in memory. For people: `outageMarkdown`.
   * @param options.since only those that ended, or go on, within it; default: all that are kept
   */
  async outages(options?: given.OutageOptions): Promise<Outage[]> {
    const { sinceMs } = resolve(given.outageSettings, options, "outages");
    const fromMs = this.#broker.clock.nowMs() - (sinceMs ?? Number.POSITIVE_INFINITY);
    const outages = outagesFrom((await this.#broker.readOutages?.()) ?? []);
    return outages.filter(({ endedAtMs }) => (endedAtMs ?? Number.POSITIVE_INFINITY) >= fromMs);
  }

  async #queues(names?: readonly string[]): Promise<QueueList> {
    const nowMs = this.#broker.clock.nowMs();
    return this.#broker.queuesThere?.(nowMs, names) ?? queueList(await this.#broker.queues(nowMs, names));
  }

  async #move(
    selection: Selection,
    to: MoveTarget,
    verb: "run" | "archive" | "delete",
    options: given.RunOptions | undefined,
  ): Promise<IdsMoved | StateMoved> {
    const bulk = given.bulkOptions(options, verb);
    const moving: Moving = { broker: this.#broker, to, by: this.#act(bulk), options: bulk };
    const checked = checkedSelection(selection, verb);
    if ("ids" in checked) {
      if (bulk.limit !== undefined || bulk.cursor !== undefined)
        throw invalidOption(
          `${verb}.${bulk.limit === undefined ? "cursor" : "limit"}`,
          "is for a state: give fewer ids",
        );
      return moveIds(moving, checked);
    }
    requireMovable(checked, to, verb);
    const total = await this.#count(checked);
    return checked.type === undefined ? moveState(moving, checked, total) : moveType(moving, checked, total);
  }

  async #taskCount(queue: string): Promise<number> {
    const { counts } = await this.queue(queue);
    return Object.values(counts).reduce((sum, count) => sum + count, 0);
  }

  async #count({ queue, state, group }: StateSelection): Promise<number> {
    const { name, counts } = await this.queue(queue);
    if (group === undefined) return counts[state];
    return (await this.#broker.groups(name)).find((one) => one.name === group)?.count ?? 0;
  }

  async #setPaused(queue: string, paused: boolean, verb: string, options: given.ByOptions | undefined) {
    const name = storedName(queue, `${verb}.queue`);
    const by = this.#act(given.byOptions(options, verb));
    const [receipt] = await this.#broker.setPaused([name], paused, by, this.#broker.clock.nowMs());
    if (receipt === "notFound") throw new HoldfastError("QUEUE_NOT_FOUND", { queue: name });
    return { changed: receipt === "changed" };
  }

  #act(by: Parameters<typeof given.actOf>[0]): Act {
    return given.actOf(by, this.#actor, () => newId(this.#broker.clock.nowMs()));
  }
}

function refOf(queue: string, id: string, verb: string): TaskRef {
  return { queue: storedName(queue, `${verb}.queue`), id: storedName(id, `${verb}.id`) };
}

async function* tasksOf(broker: Looking, selection: Selection, type: string | undefined, backwards: boolean) {
  for await (const { items } of pagesOf(broker, selection, { limit: scanPage, cursor: undefined, backwards })) {
    for (const task of backwards ? items.toReversed() : items) {
      if (type === undefined || task.message?.type === type) yield shownTask(task);
    }
  }
}
