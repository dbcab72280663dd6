import type { EnqueueReceipt, Gauging, Producing } from "../broker/broker.js";
import type { SpoolOutcome } from "../broker/spool.js";
import { HoldfastError, invalidOption, shown } from "../core/errors.js";
import { newId } from "../core/ids.js";
import { type NewTask, newTask } from "../core/message.js";
import { payloadSettings } from "../core/payload.js";
import { type Given, type Resolved, resolve } from "../core/settings.js";
import { type AnyRequest, validate } from "../core/task.js";
import { tellTask } from "../core/telemetry.js";
import type { EndpointHealth } from "./endpoint.js";
import { limitSettings, Limits } from "./limits.js";
import { type EnqueueOptions, type Policy, policyOf, policySettings, policyWith } from "./policy.js";
import { Sender } from "./sender.js";

export const clientSettings = { ...policySettings, ...limitSettings, ...payloadSettings };
export type ClientOptions = Given<typeof clientSettings>;

export interface ClientCounters {
  readonly enqueued: number;
  /** Durable on this machine, and on their way to storage. */
  readonly spooled: number;
  readonly duplicate: number;
  readonly idTaken: number;
  /** Not accepted, or not known to be: the enqueue threw. */
  readonly failed: number;
  /** Calls that were made again after one that failed. */
  readonly resent: number;
}

export interface ClientHealth {
  /** The circuit breaker of the storage; on a Cluster one for each node that this client has sent to. */
  readonly storage: readonly EndpointHealth[];
  /** Tasks that wait for storage to come back, until their timeouts. */
  readonly waiting: number;
}

/**
 * Puts tasks on queues. What is enqueued in the same turn of the event loop travels in one round trip.
 *
 * @example
 * const client = new Client(connect("redis://localhost:6379"));
 * const receipt = await client.enqueue(sendWelcome({ userId: "u_42" }, { processIn: "24h", unique: "1h" }));
 */
export class Client {
  readonly #broker: Producing;
  readonly #options: Resolved<typeof clientSettings>;
  readonly #sender: Sender;
  readonly #limits: Limits | undefined;
  readonly #policy: Policy;
  readonly #counters = { enqueued: 0, spooled: 0, duplicate: 0, idTaken: 0, failed: 0 };

  constructor(broker: Producing & Partial<Gauging>, options?: ClientOptions) {
    if (typeof broker?.enqueue !== "function")
      throw invalidOption("Client", `takes what connect() answers, got ${shown(broker)}`);
    this.#broker = broker;
    this.#options = resolve(clientSettings, options, "Client");
    this.#policy = policyOf(this.#options, broker, "Client");
    this.#sender = new Sender(broker);
    const { rateLimit, maxPending } = this.#options;
    if (rateLimit !== undefined || maxPending !== undefined) this.#limits = new Limits(broker, this.#options);
  }

  /**
   * Resolves when the task is accepted (`accept`), or storage has answered why it did not take it: a duplicate and a
   * taken id are receipts, not errors. `options` go before the client's.
   * @throws OPTION_INVALID PAYLOAD_INVALID PAYLOAD_TOO_LARGE before anything is sent
   * @throws ENQUEUE_LIMITED QUEUE_FULL where this client's own limits do not allow it; nothing was sent
   * @throws BROKER_UNAVAILABLE when storage did not answer in time; `data.outcome` says whether it may have the task
   * @throws BROKER_INCOMPATIBLE where storage cannot confirm what `accept` asks for
   * @throws SPOOL_FULL SPOOL_FAILED when the task was to be spooled and could not be
   */
  async enqueue(request: AnyRequest, options?: EnqueueOptions): Promise<EnqueueReceipt> {
    const policy = this.#policyFor(options, "enqueue");
    const validated = this.#validated(request);
    if (validated !== undefined) await validated;
    const task = this.#newTask(request);
    try {
      return this.#count(task, await this.#sender.send(task, policy, await this.#admit([request], [task], policy)));
    } catch (error) {
      this.#countFailed(1, error);
      throw error;
    }
  }

  /**
   * Enqueue many in one round trip; receipts in the same order. All are checked before any is sent. Of a long list the
   * `timeout` holds for each 5,000. Where one part fails behind another that is in, or may be, the outcome is `unknown`.
   * @throws the same as `enqueue`
   */
  async enqueueAll(requests: Iterable<AnyRequest>, options?: EnqueueOptions): Promise<EnqueueReceipt[]> {
    const policy = this.#policyFor(options, "enqueueAll");
    if (typeof requests !== "object" || requests === null || !(Symbol.iterator in requests)) {
      throw invalidOption(
        "enqueueAll",
        `takes a list of requests, such as [sendWelcome({ … })], got ${shown(requests)}`,
      );
    }
    const list = [...requests];
    await Promise.all(list.flatMap((request) => this.#validated(request) ?? []));
    const tasks = list.map((request) => this.#newTask(request));
    try {
      const receipts = await this.#sender.sendAll(tasks, policy, await this.#admit(list, tasks, policy));
      return receipts.map((receipt, index) => this.#count(tasks[index]!, receipt));
    } catch (error) {
      this.#countFailed(tasks.length, error);
      throw error;
    }
  }

  /**
   * What became of a task whose receipt was `spooled`: still that while storage has not answered; undefined where this
   * process's spool does not know of it, or knows no more (it forgets after an hour).
   * @throws BROKER_UNAVAILABLE when the spool has not answered by the client's `timeout`: its disk hangs, say
   */
  async outcome(id: string): Promise<SpoolOutcome | undefined> {
    return this.#sender.outcome(id, this.#policy.timeoutMs);
  }

  /** How many enqueues ended how, since this client was made. */
  counters(): ClientCounters {
    return { ...this.#counters, resent: this.#sender.resent };
  }

  /** How storage is, as far as this client's calls have shown. */
  health(): ClientHealth {
    return { storage: this.#sender.health(), waiting: this.#sender.waiting };
  }

  #policyFor(options: EnqueueOptions | undefined, owner: string): Policy {
    return options === undefined ? this.#policy : policyWith(this.#options, options, this.#broker, owner);
  }

  /** Nothing to wait for where the definition has no schema. @throws OPTION_INVALID PAYLOAD_INVALID */
  #validated(request: AnyRequest): Promise<unknown> | undefined {
    const definition = request?.definition;
    if (typeof definition?.type !== "string") {
      throw invalidOption(
        "enqueue",
        `takes what a call of a definition answers, such as sendWelcome({ … }), got ${shown(request)}`,
      );
    }
    const { schema, type } = definition;
    return schema && validate(schema, request.payload, type, "PAYLOAD_INVALID");
  }

  #newTask(request: AnyRequest): NewTask {
    const nowMs = this.#broker.clock.nowMs();
    return newTask(request, nowMs, newId(nowMs), this.#options.maxPayloadBytes);
  }

  /** Where the limits made these wait: when to give up, for what they waited is part of the time that there is. */
  async #admit(
    requests: readonly AnyRequest[],
    tasks: readonly NewTask[],
    { timeoutMs }: Policy,
  ): Promise<number | undefined> {
    if (this.#limits === undefined) return undefined;
    const giveUpAtMs = performance.now() + timeoutMs;
    const limited = tasks.map(({ message: { queue } }, n) => ({ queue, importance: importanceOf(requests[n]!) }));
    const isAway = this.#sender.health().some(({ state }) => state === "open" || state === "halfOpen");
    return (await this.#limits.admit(limited, giveUpAtMs, isAway)) ? giveUpAtMs : undefined;
  }

  #countFailed(tasks: number, error: unknown): void {
    this.#counters.failed += tasks;
    const { tally } = this.#broker;
    if (tally !== undefined) tally[tallied(error)] += tasks;
  }

  #count(task: NewTask, receipt: EnqueueReceipt): EnqueueReceipt {
    this.#counters[receipt.status] += 1;
    const { tally } = this.#broker;
    if (tally !== undefined) tally[receipt.status === "spooled" ? "spooled" : "enqueued"] += 1;
    tellTask({
      event: "enqueued",
      queue: task.message.queue,
      type: task.message.type,
      id: receipt.id,
      status: receipt.status,
    });
    return receipt;
  }
}

/** Under which of the tally's names. */
const tallied = (error: unknown) => (HoldfastError.is(error, "BROKER_UNAVAILABLE") ? error.data.outcome : "turnedAway");

const importanceOf = ({ options, definition }: AnyRequest) => options?.importance ?? definition.options.importance;
