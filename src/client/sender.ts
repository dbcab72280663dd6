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
/** Tasks in one call. */
const maxTogether = 5_000;
const repeated = (task: NewTask): NewTask => ({ ...task, repeat: true });
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

  /** One with less time than the others (until then, of performance.now) goes alone. */
  send(task: NewTask, giveUpAtMs?: number): Promise<EnqueueReceipt> {
    if (giveUpAtMs !== undefined) return this.sendAll([task], giveUpAtMs).then(([receipt]) => receipt!);
    return new Promise((resolve, reject) => {
      // setImmediate: whatever else is enqueued in this turn of the event loop comes along.
      if (this.#gathered.length === 0) setImmediate(() => void this.#flush());
      this.#gathered.push({ task, resolve, reject });
    });
  }

  /**
   * Long lists go in parts, one after the other, so that each has the server's attention in time; and, unless the time is
   * given by which all of it is to be over (of performance.now), time of its own.
   */
  async sendAll(tasks: readonly NewTask[], giveUpAtMs?: number): Promise<EnqueueReceipt[]> {
    const receipts: EnqueueReceipt[] = [];
    for (let at = 0; at < tasks.length; at += maxTogether) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is what it is for
      receipts.push(...(await this.#sendPart(tasks.slice(at, at + maxTogether), giveUpAtMs)));
    }
    return receipts;
  }

  /**
   * An attempt whose outcome is unknown may have been carried out: the next one is marked as a repeat, so that storage
   * recognises the ids, also of tasks that have finished meanwhile.
   */
  async #sendPart(
    tasks: readonly NewTask[],
    giveUpAtMs = performance.now() + this.#timeoutMs,
  ): Promise<EnqueueReceipt[]> {
    let batch = tasks;
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      try {
        return await this.#broker.enqueue(batch, this.#broker.clock.nowMs(), giveUpAtMs - performance.now());
      } catch (error) {
        if (!HoldfastError.is(error, "BROKER_UNAVAILABLE")) throw error;
        if (error.data.outcome === "unknown") batch = tasks.map(repeated);
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
      for (const [index, { resolve }] of waiting.entries()) resolve(receipts[index]!);
    } catch (error) {
      for (const one of waiting) this.#settle(one, error, waiting.length > 1);
    }
  }

  /** Trouble with one task of a batch is not the others' trouble: unless storage is away, each is sent by itself. */
  #settle({ task, resolve, reject }: Waiting, error: unknown, together: boolean): void {
    if (HoldfastError.is(error, "BROKER_UNAVAILABLE")) reject(this.#told(error, [task]));
    else if (together && HoldfastError.is(error, "BROKER_FAILED")) {
      this.sendAll([repeated(task)]).then(([receipt]) => resolve(receipt!), reject);
    } else reject(error);
  }

  /** The error as it concerns these tasks. An earlier try with an unknown outcome makes the whole outcome unknown. */
  #told(error: HoldfastError<"BROKER_UNAVAILABLE">, tasks: readonly NewTask[]): HoldfastError<"BROKER_UNAVAILABLE"> {
    const outcome = tasks.some((task) => task.repeat) ? "unknown" : error.data.outcome;
    const taskIds = tasks.map((task) => task.message.id);
    return new HoldfastError("BROKER_UNAVAILABLE", { ...error.data, outcome, taskIds }, { cause: error });
  }
}
