import type { Assurance, EnqueueReceipt, Producing } from "../broker/broker.js";
import type { Spool, SpoolOutcome } from "../broker/spool.js";
import { HoldfastError } from "../core/errors.js";
import { inTime } from "../core/expiry.js";
import { pause } from "../core/loop.js";
import type { NewTask } from "../core/message.js";
import { Endpoint, type EndpointHealth } from "./endpoint.js";
import { Endpoints } from "./endpoints.js";
import type { Policy } from "./policy.js";

interface Waiting {
  readonly task: NewTask;
  readonly resolve: (receipt: EnqueueReceipt) => void;
  readonly reject: (error: unknown) => void;
}

/** Enqueued in one turn of the event loop, by one policy. */
interface Gathered {
  readonly policy: Policy;
  readonly untilMs: number;
  readonly waiting: Waiting[];
}

type Unavailable = HoldfastError<"BROKER_UNAVAILABLE">;

const firstPauseMs = 50;
const longestPauseMs = 1_000;
/**
 * Where there is a spool, storage has this long to take a task, and a little longer for each task of the call; and for what
 * others are to confirm half of the time there is, the rest being the spool's.
 */
const tryMs = 500;
/** Tasks in one call. */
const maxTogether = 5_000;
/** Tasks that wait for storage to come back: what comes after them fails at once, so that memory has a bound. */
const maxWaiting = 10_000;
const repeated = (task: NewTask): NewTask => ({ ...task, repeat: true });

/**
 * Brings tasks to storage, or into the spool: single ones are gathered into batches, and what storage did not take is sent
 * again, under the same ids, or spooled.
 */
export class Sender {
  readonly #broker: Producing;
  readonly #endpoints: Endpoints;
  #gathered = new Map<string, Gathered>();
  /** That of the last task: mostly the next one's, too. */
  #gathering: Gathered | undefined;
  #waiting = 0;
  #resent = 0;

  constructor(broker: Producing) {
    this.#broker = broker;
    this.#endpoints = Endpoints.of(broker);
  }

  /** Tasks that wait for storage to come back. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Calls that were made again after one that failed. */
  get resent(): number {
    return this.#resent;
  }

  health(): EndpointHealth[] {
    return this.#endpoints.health();
  }

  /** One with less time than its policy gives (until then, of performance.now) goes alone. */
  send(task: NewTask, policy: Policy, giveUpAtMs?: number): Promise<EnqueueReceipt> {
    if (giveUpAtMs !== undefined) return this.sendAll([task], policy, giveUpAtMs).then(([receipt]) => receipt!);
    return new Promise((resolve, reject) => {
      if (this.#gathering?.policy !== policy) this.#gathering = this.#gather(policy);
      this.#gathering.waiting.push({ task, resolve, reject });
    });
  }

  #gather(policy: Policy): Gathered {
    // setImmediate: whatever else is enqueued in this turn of the event loop comes along.
    if (this.#gathered.size === 0) setImmediate(() => this.#flush());
    const alike = this.#gathered.get(policy.key);
    if (alike !== undefined) return alike;
    const gathered = { policy, untilMs: performance.now() + policy.timeoutMs, waiting: [] };
    this.#gathered.set(policy.key, gathered);
    return gathered;
  }

  /**
   * Long lists go in parts, one after the other, so that each has the server's attention in time; and, unless the time is
   * given by which all of it is to be over (of performance.now), time of its own.
   */
  async sendAll(tasks: readonly NewTask[], policy: Policy, giveUpAtMs?: number): Promise<EnqueueReceipt[]> {
    const receipts: EnqueueReceipt[] = [];
    for (let at = 0; at < tasks.length; at += maxTogether) {
      const part = tasks.slice(at, at + maxTogether);
      const untilMs = giveUpAtMs ?? performance.now() + policy.timeoutMs;
      try {
        // oxlint-disable-next-line no-await-in-loop -- one after the other is what it is for
        receipts.push(...(await this.#sendPart(part, policy, untilMs)));
      } catch (error) {
        throw receipts.length > 0 ? this.#ofSome(error, tasks) : error;
      }
    }
    return receipts;
  }

  /** Each place gets its own, and one that is away does not keep the others; all must have taken theirs in the end. */
  async #sendPart(tasks: readonly NewTask[], policy: Policy, untilMs: number): Promise<EnqueueReceipt[]> {
    const parts = this.#parts(tasks, (task) => task, policy);
    if (parts.length === 1) return this.#deliver(tasks, parts[0]!.to, policy, untilMs);
    const receipts = new Map<NewTask, EnqueueReceipt>();
    const failures: unknown[] = [];
    await Promise.all(
      parts.map(({ to, items }) =>
        this.#deliver(items, to, policy, untilMs).then(
          (answers) => answers.forEach((receipt, n) => receipts.set(items[n]!, receipt)),
          (error: unknown) => failures.push(error),
        ),
      ),
    );
    if (failures.length === 0) return tasks.map((task) => receipts.get(task)!);
    const gravest = failures.find((error) => !isUnavailable(error)) ?? failures[0];
    if (receipts.size > 0 || failures.some(isUnknown)) throw this.#ofSome(gravest, tasks);
    throw isUnavailable(gravest) ? concerning(gravest, tasks, false) : gravest;
  }

  /**
   * Some of these tasks are in, or may be, and their receipts are lost with the error: it must not say that nothing is. A
   * spool that refuses has taken nothing of its part; it does not know of the others.
   */
  #ofSome(error: unknown, tasks: readonly NewTask[]): unknown {
    if (isUnavailable(error)) return concerning(error, tasks, true);
    if (!HoldfastError.is(error, "SPOOL_FULL") && !HoldfastError.is(error, "SPOOL_FAILED")) return error;
    const problem = `some of these tasks may be in, the others were to be spooled: ${error.message}`;
    const data = { broker: this.#broker.label, problem, outcome: "unknown", taskIds: [] } as const;
    return concerning(new HoldfastError("BROKER_UNAVAILABLE", data), tasks, true, error);
  }

  #flush(): void {
    const gathered = this.#gathered;
    this.#gathered = new Map();
    this.#gathering = undefined;
    for (const { policy, untilMs, waiting } of gathered.values()) void this.#sendGathered(waiting, policy, untilMs);
  }

  async #sendGathered(waiting: readonly Waiting[], policy: Policy, untilMs: number): Promise<void> {
    for (let at = 0; at < waiting.length; at += maxTogether) {
      const parts = this.#parts(waiting.slice(at, at + maxTogether), ({ task }) => task, policy);
      // oxlint-disable-next-line no-await-in-loop -- as above
      await Promise.all(parts.map(({ to, items }) => this.#sendTogether(items, to, policy, untilMs)));
    }
  }

  /** Trouble with one task of a batch is not the others' trouble: unless storage is away, each is sent by itself. */
  async #sendTogether(items: readonly Waiting[], to: Endpoint | Spool, policy: Policy, untilMs: number): Promise<void> {
    try {
      const tasks = items.map(({ task }) => task);
      const receipts = await this.#deliver(tasks, to, policy, untilMs);
      for (const [n, { resolve }] of items.entries()) resolve(receipts[n]!);
    } catch (error) {
      const alone = items.length > 1 && HoldfastError.is(error, "BROKER_FAILED");
      for (const { task, resolve, reject } of items) {
        if (alone) this.sendAll([repeated(task)], policy, untilMs).then(([receipt]) => resolve(receipt!), reject);
        else reject(isUnavailable(error) ? concerning(error, [task], false, error.cause) : error);
      }
    }
  }

  /** By the place that each is to go to: its storage, or the spool where that is better at present. */
  #parts<T>(
    items: readonly T[],
    taskOf: (item: T) => NewTask,
    policy: Policy,
  ): { readonly to: Endpoint | Spool; readonly items: T[] }[] {
    const byQueue = new Map<string, T[]>();
    const parts = new Map<Endpoint | Spool, T[]>();
    let last: string | undefined;
    let part: T[] = [];
    for (const item of items) {
      const { queue } = taskOf(item).message;
      // Mostly the same as before: then nothing has to be looked up.
      if (queue !== last) {
        last = queue;
        part = byQueue.get(queue) ?? this.#partFor(queue, policy, parts);
        byQueue.set(queue, part);
      }
      part.push(item);
    }
    return [...parts].map(([to, list]) => ({ to, items: list }));
  }

  #partFor<T>(queue: string, policy: Policy, parts: Map<Endpoint | Spool, T[]>): T[] {
    const to = this.#placeOf(queue, policy);
    const part = parts.get(to) ?? [];
    parts.set(to, part);
    return part;
  }

  #placeOf(queue: string, { accept, whenDown }: Policy): Endpoint | Spool {
    const { spool } = this.#broker;
    if (spool !== undefined && accept === "spool") return spool;
    const endpoint = this.#endpoints.of(queue);
    // What was spooled before goes before, however well storage is by now.
    return spool !== undefined && whenDown === "spool" && (!endpoint.well || spool.holds(queue)) ? spool : endpoint;
  }

  async #deliver(
    tasks: readonly NewTask[],
    to: Endpoint | Spool,
    policy: Policy,
    untilMs: number,
  ): Promise<EnqueueReceipt[]> {
    if (!(to instanceof Endpoint)) return this.#spool(tasks, to, untilMs);
    const { spool } = this.#broker;
    return policy.whenDown === "spool" && spool !== undefined
      ? this.#tryOrSpool(tasks, to, spool, policy, untilMs)
      : this.#tryUntil(tasks, to, policy, untilMs);
  }

  /** What storage does not take in a moment is spooled, as a repeat where it may have taken it after all. */
  async #tryOrSpool(
    tasks: readonly NewTask[],
    endpoint: Endpoint,
    spool: Spool,
    policy: Policy,
    untilMs: number,
  ): Promise<EnqueueReceipt[]> {
    const mostMs = isAssured(policy) ? Number.POSITIVE_INFINITY : tryMs + tasks.length;
    const withinMs = Math.min((untilMs - performance.now()) / 2, mostMs);
    try {
      return await this.#ask(endpoint, tasks, policy, withinMs);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      const unknown = error.data.outcome === "unknown";
      try {
        return await this.#spool(unknown ? tasks.map(repeated) : tasks, spool, untilMs);
      } catch (refusal) {
        // Nothing has the tasks, and the spool says why; but what storage may have is its to tell.
        throw unknown ? concerning(error, tasks, true, refusal) : refusal;
      }
    }
  }

  /** A spool that is being opened, or whose disk hangs, gets no more time than the caller has. */
  async #spool(tasks: readonly NewTask[], spool: Spool, untilMs: number): Promise<EnqueueReceipt[]> {
    const accepted = spool.accept(tasks, this.#broker.clock.nowMs());
    const taskIds = tasks.map((task) => task.message.id);
    return inTime(accepted, Math.max(0, untilMs - performance.now()), () => this.#spoolIsLate(taskIds));
  }

  /** What the spool knows of a task; undefined where there is none. @throws BROKER_UNAVAILABLE when it does not answer */
  async outcome(id: string, withinMs: number): Promise<SpoolOutcome | undefined> {
    const { spool } = this.#broker;
    if (spool === undefined) return undefined;
    const [outcome] = await inTime(spool.outcomes([id]), withinMs, () => this.#spoolIsLate([id]));
    return outcome;
  }

  #spoolIsLate(taskIds: readonly string[]): Unavailable {
    const problem = "its spool has not answered in time";
    return new HoldfastError("BROKER_UNAVAILABLE", {
      broker: this.#broker.label,
      problem,
      outcome: "unknown",
      taskIds,
    });
  }

  /**
   * An attempt whose outcome is unknown may have been carried out: the next one is marked as a repeat, so that storage
   * recognises the ids, also of tasks that have finished meanwhile.
   */
  async #tryUntil(
    tasks: readonly NewTask[],
    endpoint: Endpoint,
    policy: Policy,
    untilMs: number,
  ): Promise<EnqueueReceipt[]> {
    let batch = tasks;
    let last: Unavailable | undefined;
    for (let longestMs = firstPauseMs; ; longestMs = Math.min(longestMs * 2, longestPauseMs)) {
      if (!(await this.#isUp(endpoint, tasks.length, untilMs))) throw concerning(last ?? this.#down(endpoint), batch);
      if (last !== undefined) this.#resent += 1;
      const attempt = batch;
      try {
        return await this.#ask(endpoint, attempt, policy, untilMs - performance.now());
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        last = error;
        if (error.data.outcome === "unknown") batch = tasks.map(repeated);
        const waitMs = longestMs * Math.random();
        if (performance.now() + waitMs >= untilMs) throw concerning(error, batch);
        await pause(waitMs);
      }
    }
  }

  async #isUp(endpoint: Endpoint, tasks: number, untilMs: number): Promise<boolean> {
    if (endpoint.usable) return true;
    if (this.#waiting + tasks > maxWaiting && this.#waiting > 0) return false;
    this.#waiting += tasks;
    try {
      return await endpoint.usableBefore(untilMs);
    } finally {
      this.#waiting -= tasks;
    }
  }

  #down({ health: { broker, reason } }: Endpoint): Unavailable {
    const problem = `${reason}; nothing is sent until it answers again`;
    return new HoldfastError("BROKER_UNAVAILABLE", { broker, problem, outcome: "notSent", taskIds: [] });
  }

  #ask(endpoint: Endpoint, tasks: readonly NewTask[], policy: Policy, withinMs: number): Promise<EnqueueReceipt[]> {
    const nowMs = this.#broker.clock.nowMs();
    if (!isAssured(policy)) {
      return endpoint.call(tasks.length, () => this.#broker.enqueue(tasks, nowMs, withinMs));
    }
    const { accept, replicas } = policy;
    const assurance: Assurance = { of: accept, replicas: replicas ?? (accept === "replicas" ? 1 : 0) };
    // How long a disk or a replica takes says nothing of this storage.
    const patienceMs = Number.POSITIVE_INFINITY;
    return endpoint.call(
      tasks.length,
      () => this.#broker.enqueueAssured!(tasks, nowMs, withinMs, assurance),
      patienceMs,
    );
  }
}

const isAssured = (policy: Policy): policy is Policy & { readonly accept: "replicas" | "fsync" } =>
  policy.accept === "replicas" || policy.accept === "fsync";
const isUnavailable = (error: unknown): error is Unavailable => HoldfastError.is(error, "BROKER_UNAVAILABLE");
/** Also where storage could not take one task of a part: it has the others. */
const isUnknown = (error: unknown) =>
  isUnavailable(error) ? error.data.outcome === "unknown" : HoldfastError.is(error, "BROKER_FAILED");

/** The error as it concerns these tasks. An earlier try with an unknown outcome makes the whole outcome unknown. */
function concerning(
  error: Unavailable,
  tasks: readonly NewTask[],
  unknown = tasks.some((task) => task.repeat),
  cause: unknown = error.cause ?? error,
): Unavailable {
  const outcome = unknown ? "unknown" : error.data.outcome;
  const taskIds = tasks.map((task) => task.message.id);
  return new HoldfastError("BROKER_UNAVAILABLE", { ...error.data, outcome, taskIds }, { cause });
}
