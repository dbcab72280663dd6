import type { EnqueueReceipt, Gauging, Producing } from "../broker/broker.js";
import { invalidOption, shown } from "../core/errors.js";
import { newId } from "../core/ids.js";
import { type NewTask, newTask } from "../core/message.js";
import { payloadSettings } from "../core/payload.js";
import { type Given, type Resolved, resolve, setting } from "../core/settings.js";
import { type AnyRequest, validate } from "../core/task.js";
import { tellTask } from "../core/telemetry.js";
import { limitSettings, Limits } from "./limits.js";
import { Sender } from "./sender.js";

export const clientSettings = {
  timeout: setting.duration({
    default: "5s",
    min: "10ms",
    max: "50s",
    says: "how long an enqueue may take in all, tries again included, before it fails with BROKER_UNAVAILABLE",
  }),
  ...limitSettings,
  ...payloadSettings,
};
export type ClientOptions = Given<typeof clientSettings>;

export interface ClientCounters {
  readonly enqueued: number;
  readonly duplicate: number;
  readonly idTaken: number;
  /** Not accepted, or not known to be: the enqueue threw. */
  readonly failed: number;
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
  readonly #counters = { enqueued: 0, duplicate: 0, idTaken: 0, failed: 0 };

  constructor(broker: Producing & Partial<Gauging>, options?: ClientOptions) {
    if (typeof broker?.enqueue !== "function")
      throw invalidOption("Client", `takes what connect() answers, got ${shown(broker)}`);
    this.#broker = broker;
    this.#options = resolve(clientSettings, options, "Client");
    this.#sender = new Sender(broker, this.#options.timeoutMs);
    const { rateLimit, maxPending } = this.#options;
    if (rateLimit !== undefined || maxPending !== undefined) this.#limits = new Limits(broker, this.#options);
  }

  /**
   * Resolves when storage has the task, or has answered why it did not take it: a duplicate and a taken id are
   * receipts, not errors.
   * @throws OPTION_INVALID PAYLOAD_INVALID PAYLOAD_TOO_LARGE before anything is sent
   * @throws ENQUEUE_LIMITED QUEUE_FULL where this client's own limits do not allow it; nothing was sent
   * @throws BROKER_UNAVAILABLE when storage did not answer in time; `data.outcome` says whether it may have the task
   */
  async enqueue(request: AnyRequest): Promise<EnqueueReceipt> {
    const validated = this.#validated(request);
    if (validated !== undefined) await validated;
    const task = this.#newTask(request);
    try {
      return this.#count(task, await this.#sender.send(task, await this.#admit([request], [task])));
    } catch (error) {
      this.#counters.failed += 1;
      throw error;
    }
  }

  /**
   * Enqueue many in one round trip; receipts in the same order. All are checked before any is sent.
   * @throws the same as `enqueue`
   */
  async enqueueAll(requests: Iterable<AnyRequest>): Promise<EnqueueReceipt[]> {
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
      const receipts = await this.#sender.sendAll(tasks, await this.#admit(list, tasks));
      return receipts.map((receipt, index) => this.#count(tasks[index]!, receipt));
    } catch (error) {
      this.#counters.failed += tasks.length;
      throw error;
    }
  }

  /** How many enqueues ended how, since this client was made. */
  counters(): ClientCounters {
    return { ...this.#counters };
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
  async #admit(requests: readonly AnyRequest[], tasks: readonly NewTask[]): Promise<number | undefined> {
    if (this.#limits === undefined) return undefined;
    const giveUpAtMs = performance.now() + this.#options.timeoutMs;
    const limited = tasks.map(({ message: { queue } }, n) => ({ queue, importance: importanceOf(requests[n]!) }));
    return (await this.#limits.admit(limited, giveUpAtMs)) ? giveUpAtMs : undefined;
  }

  #count(task: NewTask, receipt: EnqueueReceipt): EnqueueReceipt {
    if (receipt.status !== "spooled") this.#counters[receipt.status] += 1;
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

const importanceOf = ({ options, definition }: AnyRequest) => options?.importance ?? definition.options.importance;
