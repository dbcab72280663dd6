import type { Confirmation, Settlement, SettleReceipt, Turn, TurnReply, Working } from "../broker/broker.js";
import { HoldfastError } from "../core/errors.js";
import type { Logger } from "../core/log.js";
import { pause } from "../core/loop.js";

const firstPauseMs = 50;
const longestPauseMs = 1_000;
const longestInsistMs = 30_000;

/**
 * Turns with storage, each sent again, unchanged, until it is answered: an outcome is never dropped. What storage refuses
 * for good, or has no answer for while other parts of it have, is settled queue by queue beside the others.
 */
export class Turns {
  readonly #broker: Working;
  readonly #log: Logger;
  readonly #onSettled: (settlements: readonly Settlement[], receipts: readonly Confirmation[]) => void;
  readonly #quit = new AbortController();
  #refusal: Error | undefined;

  constructor(
    broker: Working,
    log: Logger,
    onSettled: (settlements: readonly Settlement[], receipts: readonly Confirmation[]) => void,
  ) {
    this.#broker = broker;
    this.#log = log;
    this.#onSettled = onSettled;
  }

  /** Why storage refused the last turn, if it did. */
  get refusal(): Error | undefined {
    return this.#refusal;
  }

  get over(): boolean {
    return this.#quit.signal.aborted;
  }

  /** Stop trying. */
  giveUp(): void {
    this.#quit.abort();
  }

  /** The reply, or `undefined` when storage refuses the turn for good and its parts are seen to one by one. */
  async take(turn: Turn): Promise<TurnReply | undefined> {
    let unsure = false;
    for (let pauseMs = firstPauseMs; !this.over; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      try {
        const reply = await this.#broker.exchange(turn, this.#broker.clock.nowMs());
        this.#refusal = undefined;
        this.#conclude(turn.settle, reply.settled, unsure);
        return reply;
      } catch (error) {
        if (HoldfastError.is(error, "CLOSED")) {
          this.#log.error({ error }, "the broker was closed under a running worker: stop the worker first");
          this.giveUp();
          break;
        }
        if (HoldfastError.is(error, "BROKER_UNAVAILABLE")) {
          unsure ||= error.data.outcome === "unknown";
        } else if (HoldfastError.is(error, "BROKER_INCOMPATIBLE")) {
          // It was fit when the worker started: a password was changed, say. What is to be settled waits for it.
          this.#log.error({ error }, `storage cannot be used any more; trying again in ${pauseMs} ms`);
        } else {
          this.#refusal = error instanceof Error ? error : new Error(String(error));
          this.#log.error({ error }, "storage refused a turn; its settlements are tried again queue by queue");
          for (const part of byQueue(turn.settle)) void this.#insist(part);
          return undefined;
        }
      }
      await pause(pauseMs * (0.75 + Math.random() / 4), this.#quit.signal);
    }
    return undefined;
  }

  /** `unsure`: an earlier try may have been carried out, of which `leaseLost` would tell no more than that. */
  #conclude(settle: readonly Settlement[], receipts: readonly SettleReceipt[], unsure: boolean): void {
    const away = settle.filter((_, n) => receipts[n] === "unavailable");
    const done = away.length === 0 ? settle : settle.filter((_, n) => receipts[n] !== "unavailable");
    const confirmations = unsure ? allSettled(done) : receipts.filter((receipt) => receipt !== "unavailable");
    if (done.length > 0) this.#onSettled(done, confirmations);
    for (const part of byQueue(away)) {
      const fields = { queue: part[0]!.task.lease.queue, tasks: part.length };
      this.#log.warn(fields, "this queue's storage is away: what has ended is settled when it is back");
      void this.#insist(part);
    }
  }

  /**
   * One queue's settlements alone, until they are through: trouble in one queue must not hold up the others, nor one
   * settlement its neighbours. The turn that was refused may have carried some of them out, so `leaseLost` means done.
   */
  async #insist(settle: readonly Settlement[]): Promise<void> {
    for (let pauseMs = longestPauseMs; !this.over; pauseMs = Math.min(pauseMs * 2, longestInsistMs)) {
      const { queue } = settle[0]!.task.lease;
      try {
        const { settled } = await this.#broker.exchange({ settle }, this.#broker.clock.nowMs());
        if (!settled.includes("unavailable")) {
          this.#onSettled(settle, allSettled(settle));
          return;
        }
        // It may be back at any moment, and these tasks' leases go on running out.
        pauseMs = longestPauseMs;
        this.#log.debug({ queue, tasks: settle.length }, `storage is away; settling again in ${pauseMs} ms`);
      } catch (error) {
        this.#log.warn({ queue, tasks: settle.length, error }, `settling failed; trying again in ${pauseMs} ms`);
        if (settle.length > 1 && !HoldfastError.is(error, "BROKER_UNAVAILABLE")) {
          const middle = Math.ceil(settle.length / 2);
          void this.#insist(settle.slice(0, middle));
          void this.#insist(settle.slice(middle));
          return;
        }
      }
      await pause(pauseMs, this.#quit.signal);
    }
  }
}

const allSettled = (settlements: readonly Settlement[]) => settlements.map(() => "settled" as const);

function byQueue(settlements: readonly Settlement[]): Settlement[][] {
  const parts = new Map<string, Settlement[]>();
  for (const settlement of settlements) {
    const { queue } = settlement.task.lease;
    const part = parts.get(queue);
    if (part === undefined) parts.set(queue, [settlement]);
    else part.push(settlement);
  }
  return [...parts.values()];
}
