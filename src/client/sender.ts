import type { EnqueueReceipt, Producing } from "../broker/broker.js";
import { HoldfastError } from "../core/errors.js";
import { pause } from "../core/loop.js";
import type { NewTask } from "../core/message.js";

interface Waiting {
  readonly task: NewTask;
  readonly resolve: (receipt: EnqueueReceipt) => void;
  readonly reject: (error: unknown) => void;
}

const firstPauseMs = 50;
const longestPauseMs = 1_000;
const never = new AbortController().signal;

/** Brings tasks to storage: single ones are gathered into batches, and what storage did not take is sent again. */
export class Sender {
  readonly #broker: Producing;
  readonly #timeoutMs: number;
  #gathered: Waiting[] = [];

  constructor(broker: Producing, timeoutMs: number) {
    this.#broker = broker;
    this.#timeoutMs = timeoutMs;
  }

  send(task: NewTask): Promise<EnqueueReceipt> {
    return new Promise((resolve, reject) => {
      // setImmediate: whatever else is enqueued in this turn of the event loop comes along.
      if (this.#gathered.length === 0) setImmediate(() => void this.#flush());
      this.#gathered.push({ task, resolve, reject });
    });
  }

  /**
   * An attempt whose outcome is unknown may have been carried out: the next one is marked as a repeat, so that storage
   * recognises the ids, also of tasks that have finished meanwhile.
   */
  async sendAll(tasks: readonly NewTask[]): Promise<EnqueueReceipt[]> {
    if (tasks.length === 0) return [];
    const giveUpAtMs = performance.now() + this.#timeoutMs;
    let batch = tasks;
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      try {
        return await this.#broker.enqueue(batch, this.#broker.clock.nowMs());
      } catch (error) {
        if (!HoldfastError.is(error, "BROKER_UNAVAILABLE")) throw error;
        if (error.data.outcome === "unknown") batch = tasks.map((task) => ({ ...task, repeat: true }));
        const waitMs = pauseMs * (0.5 + Math.random() / 2);
        if (performance.now() + waitMs >= giveUpAtMs) throw this.#told(error, batch);
        await pause(waitMs, never);
      }
    }
  }

  async #flush(): Promise<void> {
    const waiting = this.#gathered;
    this.#gathered = [];
    try {
      const receipts = await this.sendAll(waiting.map(({ task }) => task));
      waiting.forEach(({ resolve }, index) => resolve(receipts[index]!));
    } catch (error) {
      for (const { task, reject } of waiting) {
        reject(HoldfastError.is(error, "BROKER_UNAVAILABLE") ? this.#told(error, [task]) : error);
      }
    }
  }

  /** The error as it concerns these tasks. An earlier try with an unknown outcome makes the whole outcome unknown. */
  #told(error: HoldfastError<"BROKER_UNAVAILABLE">, tasks: readonly NewTask[]): HoldfastError<"BROKER_UNAVAILABLE"> {
    const outcome = tasks.some((task) => task.repeat) ? "unknown" : error.data.outcome;
    const taskIds = tasks.map((task) => task.message.id);
    return new HoldfastError("BROKER_UNAVAILABLE", { ...error.data, outcome, taskIds }, { cause: error });
  }
}
