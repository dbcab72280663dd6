/**
 * The parts that come later, written against the contract as it is: nothing here runs, all of it must compile, so that
 * the contract will not have to change for them.
 */
import type { Broker, EnqueueReceipt, LeasedTask, Producing, Settlement } from "../../src/broker/broker.js";
import type { Act, Grouping, Inspecting, Limiting, MoveReceipt, Signalling, Steering } from "../../src/broker/roles.js";
import type { Identifying } from "../../src/broker/incarnation.js";
import type { Spool, SpooledTask, SpoolOutcome, SpoolStats, SpoolStore } from "../../src/broker/spool.js";
import { HoldfastError } from "../../src/core/errors.js";
import type { Selection, TaskInfo } from "../../src/core/info.js";
import type { NewTask } from "../../src/core/message.js";
import type { Failure, Outcome, Reason } from "../../src/core/outcome.js";
import type { TaskState } from "../../src/core/state.js";

// --- Receipts: a switch knows them all ------------------------------------------------------------------------------------

function told(receipt: EnqueueReceipt): string {
  switch (receipt.status) {
    case "enqueued":
      return `${receipt.id} is ${receipt.state}`;
    case "spooled":
      return `${receipt.id} is safe on this machine`;
    case "duplicate":
      return `${receipt.id} is on its way already`;
    case "idTaken":
      return `${receipt.id} is another task`;
  }
  receipt satisfies never;
}

// --- A client's spool -----------------------------------------------------------------------------------------------------

/** Durable would be a file; the shape is the same. */
class SketchedStore implements SpoolStore {
  #tasks: SpooledTask[] = [];
  readonly #ended = new Map<string, SpoolOutcome>();
  #sequence = 0;

  async append(tasks: readonly NewTask[], nowMs: number): Promise<number> {
    const full = { directory: "sketch", tasks: 1_000, maxTasks: 1_000, bytes: 0, maxBytes: 1, diskFull: false };
    if (this.#tasks.length + tasks.length > full.maxTasks) throw new HoldfastError("SPOOL_FULL", full);
    for (const task of tasks) {
      this.#sequence += 1;
      // A task that was accepted here may have reached storage before: sent again, it says so.
      this.#tasks.push({ sequence: this.#sequence, acceptedAtMs: nowMs, task: { ...task, repeat: true } });
    }
    return this.#sequence;
  }
  async read(after: number, limit: number): Promise<readonly SpooledTask[]> {
    return this.#tasks.filter(({ sequence }) => sequence > after).slice(0, limit);
  }
  async release(ended: readonly { readonly sequence: number; readonly outcome: SpoolOutcome }[]): Promise<void> {
    for (const { outcome } of ended) this.#ended.set(outcome.id, outcome);
    const sequences = new Set(ended.map(({ sequence }) => sequence));
    this.#tasks = this.#tasks.filter(({ sequence }) => !sequences.has(sequence));
  }
  async outcomes(ids: readonly string[]): Promise<(SpoolOutcome | undefined)[]> {
    return ids.map((id) => this.#ended.get(id));
  }
  async stats(): Promise<SpoolStats> {
    const { length: tasks } = this.#tasks;
    return { tasks, bytes: 0, oldestAtMs: this.#tasks[0]?.acceptedAtMs, parked: 0, maxBytes: 1, maxTasks: 1_000 };
  }
  onAdopted(): void {}
  onUnreadable(): void {}
  async close(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Accept at once, or on this machine while storage is away. */
async function accept(storage: Producing, spool: Spool, tasks: readonly NewTask[]): Promise<EnqueueReceipt[]> {
  const nowMs = storage.clock.nowMs();
  if (tasks.some(({ message }) => spool.holds(message.queue))) return spool.accept(tasks, nowMs);
  try {
    return await storage.enqueue(tasks, nowMs);
  } catch (error) {
    if (!HoldfastError.is(error, "BROKER_UNAVAILABLE")) throw error;
    return spool.accept(tasks, nowMs);
  }
}

/** Bring what was spooled to storage, in order; let go of it when the data that took it has stayed the same. */
async function deliver(store: SpoolStore, storage: Producing & Identifying): Promise<void> {
  const spooled = await store.read(0, 500);
  const queues = [...new Set(spooled.map(({ task }) => task.message.queue))];
  const before = await storage.incarnations(queues, 1_000);
  const tasks = spooled.map(({ task }) => task);
  const receipts = await storage.enqueue(tasks, storage.clock.nowMs());
  await new Promise((resolve) => setTimeout(resolve, storage.trustAfterMs));
  const after = await storage.incarnations(queues, 1_000);
  const trusted = new Set(queues.filter((_, n) => before[n] !== undefined && before[n].id === after[n]?.id));
  await store.release(
    spooled.flatMap(({ sequence, task }, n) =>
      trusted.has(task.message.queue) ? [{ sequence, outcome: receipts[n]! }] : [],
    ),
  );
}

// --- Dead letters: what is known of a failure is enough to group, show and redrive it -----------------------------------------

interface Group {
  readonly reason: Reason;
  readonly class: string;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  readonly tasks: number;
}

const fingerprint = (type: string, failure: Failure) =>
  [type, failure.reason, failure.class, failure.message, failure.stack ?? ""].join("\n");

async function groupsOf(broker: Broker, queue: string): Promise<Map<string, Group>> {
  const groups = new Map<string, Group>();
  let cursor: string | undefined;
  do {
    const page = await broker.list({ queue, state: "archived" }, { limit: 500, cursor });
    for (const { message, failure, archivedAtMs, bytes, crashes } of page.items as TaskInfo[]) {
      if (failure === undefined || archivedAtMs === undefined) continue; // A Go worker's: known by its message alone.
      const key = fingerprint(message?.type ?? `${bytes.length} bytes, ${crashes} crashes`, failure);
      const group = groups.get(key) ?? { ...failure, firstAtMs: archivedAtMs, lastAtMs: archivedAtMs, tasks: 0 };
      groups.set(key, { ...group, lastAtMs: archivedAtMs, tasks: group.tasks + 1 });
    }
    cursor = page.next;
  } while (cursor !== undefined);
  return groups;
}

const advice: Record<Reason, string> = {
  failed: "look at the error",
  retries_exhausted: "look at the error",
  skip_retry: "the handler said so",
  retry_after: "wait",
  timeout: "give it more time",
  deadline: "it is too late",
  cancelled: "somebody cancelled it",
  lease_expired: "its worker died",
  no_handler: "start a worker that knows it",
  decode_error: "its bytes are damaged",
  schema_mismatch: "producer and worker disagree",
  payload_too_large: "store it elsewhere",
  quarantined: "it kills its workers",
  manual: "somebody archived it",
  policy_discard: "its retry policy failed",
  restored: "it came from a backup",
};

// --- Steering with receipts -----------------------------------------------------------------------------------------------------

async function redrive(
  steering: Steering,
  queue: string,
  ids: readonly string[],
  by: Act,
  nowMs: number,
): Promise<number> {
  const byIds: Selection = { queue, ids };
  const receipt: MoveReceipt = await steering.move(byIds, "pending", by, { limit: ids.length, attempts: 3 }, nowMs);
  if ("receipts" in receipt) return receipt.receipts.filter((one) => one === "moved").length;
  return receipt.moved + (receipt.cursor === undefined ? 0 : receipt.skipped);
}

async function emptyArchive(steering: Steering, queue: string, by: Act, nowMs: number): Promise<void> {
  const state: TaskState = "archived";
  await steering.move({ queue, state }, "deleted", by, { limit: 500 }, nowMs);
  // @ts-expect-error those of one type are looked for with `list`, which says how far it has looked
  await steering.move({ queue, state, type: "email:welcome" }, "deleted", by, { limit: 500 }, nowMs);
  await steering.setPaused([queue], true, by, nowMs);
  await steering.dropQueue(queue, { force: true, limit: 500 }, by, nowMs);
  // @ts-expect-error every act says who did it, and why
  await steering.setPaused([queue], true, nowMs);
  // @ts-expect-error a task is not made active from outside
  await steering.move({ queue, state }, "active", by, { limit: 500 }, nowMs);
}

// --- Looking further --------------------------------------------------------------------------------------------------------------

async function failedToday(inspecting: Inspecting, queues: readonly string[], nowMs: number): Promise<number> {
  const history = await inspecting.history(queues, 1, nowMs);
  return history.reduce((sum, [today]) => sum + (today?.failed ?? 0), 0);
}

// --- Rate limits: what is over the limit is parked, and no retry is burnt ---------------------------------------------------------

async function withinLimit(limiting: Limiting, tasks: readonly LeasedTask[], nowMs: number) {
  const grants = await limiting.reserve(tasks, { key: "smtp", perSecond: 10, burst: 20 }, nowMs);
  const run = tasks.filter((_, n) => grants[n]?.granted === true);
  const parkedUntilMs = grants.flatMap((grant) => (grant.granted ? [] : [grant.atMs]));
  return { run, parkedUntilMs };
}

// --- Signals and groups ---------------------------------------------------------------------------------------------------------------

async function listen(
  signalling: Signalling,
  controllers: ReadonlyMap<string, AbortController>,
): Promise<AsyncDisposable> {
  return signalling.subscribe(["default"], (signal) => {
    switch (signal.kind) {
      case "cancel":
        controllers.get(signal.id)?.abort(new HoldfastError("TASK_CANCELLED", { id: signal.id, how: "retry" }));
        return;
      case "wake":
        return;
    }
    signal satisfies never;
  });
}

async function aggregate(
  grouping: Grouping,
  merged: (tasks: readonly LeasedTask[]) => NewTask,
  nowMs: number,
): Promise<number> {
  const request = {
    workerId: "w",
    requestId: "r",
    queues: ["default"],
    limit: 10,
    leaseMs: 30_000,
    suspects: 0,
    maxSize: 100,
    graceMs: 60_000,
  };
  const groups = await grouping.leaseGroups(request, nowMs);
  const receipts = await grouping.merge(
    groups.map((tasks) => ({ tasks, into: merged(tasks) })),
    nowMs,
  );
  return receipts.filter((receipt) => receipt === "settled").length;
}

// --- Outcomes: each kind has what belongs to it, and nothing else ---------------------------------------------------------------------

declare const task: LeasedTask;
declare const failure: Failure;
const settlements: Settlement[] = [
  { task, outcome: { kind: "completed" } },
  { task, outcome: { kind: "completed", result: new Uint8Array(2) } },
  { task, outcome: { kind: "retry", atMs: 0, failure, counts: true } },
  { task, outcome: { kind: "archived", failure } },
  { task, outcome: { kind: "revoked" } },
  { task, outcome: { kind: "released" } },
];
// @ts-expect-error a dead letter has a failure
const unexplained: Outcome = { kind: "archived" };
// @ts-expect-error a retry says when, and whether it counts
const whenever: Outcome = { kind: "retry", failure };
// @ts-expect-error what was completed did not fail
const both: Outcome = { kind: "completed", failure };
// @ts-expect-error reasons are of one list
const unreasonable: Failure = { ...failure, reason: "because" };
