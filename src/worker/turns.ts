import { setMaxListeners } from "node:events";
import type { Confirmation, Settlement, SettleReceipt, Turn, TurnReply, Working } from "../broker/broker.js";
import { HoldfastError } from "../core/errors.js";
import { groupedBy } from "../core/grouped-by.js";
import type { Logger } from "../core/log.js";
import { pause } from "../core/loop.js";
import { parted } from "./parted.js";
import type { Trouble, Watch } from "./watch.js";

const firstPauseMs = 50;
/** A link that waits for its server to come back does so inside a call; this is for one that refuses. */
const longestPauseMs = 250;
const longestHopelessPauseMs = 1_000;
/** Of one queue that was away, in one turn. */
const mostTogether = 500;
const firstInsistMs = 1_000;
const longestInsistMs = 30_000;

export interface TurnEvents {
  readonly onSettled: (settlements: readonly Settlement[], receipts: readonly Confirmation[]) => void;
  /** What has ended since the turn was made up, to be settled along with it. */
  readonly endedSince: () => readonly Settlement[];
}

/**
 * Turns with storage, each sent again until it is answered: an outcome is never dropped. What has ended while storage was
 * away is settled before anything is leased. What storage refuses for good, or has no answer for while other parts of it
 * have, is settled queue by queue beside the others.
 */
export class Turns {
  readonly #broker: Working;
  readonly #log: Logger;
  readonly #watch: Watch;
  readonly #events: TurnEvents;
  readonly #quit = new AbortController();
  /** By queue: what waits for its storage to come back. */
  readonly #away = new Map<string, Settlement[]>();
  #refusal: Error | undefined;
  #closed: Trouble | undefined;
  #tries = 0;
  #answeredAtMs: number | undefined;

  constructor(broker: Working, log: Logger, watch: Watch, events: TurnEvents) {
    this.#broker = broker;
    this.#log = log;
    this.#watch = watch;
    this.#events = events;
    // While storage is away each part that is to be settled waits on it, and Node.js takes more than ten for a leak.
    setMaxListeners(0, this.#quit.signal);
  }

  /** Why storage refused the last turn, if it did. */
  get refusal(): Error | undefined {
    return this.#refusal;
  }

  /** Since when the broker is closed under it: it cannot go on. */
  get closed(): Trouble | undefined {
    return this.#closed;
  }

  get over(): boolean {
    return this.#quit.signal.aborted;
  }

  /** How often storage was asked, and that came to an end. */
  get tries(): number {
    return this.#tries;
  }

  /** When storage last answered a turn, Unix ms. */
  get answeredAtMs(): number | undefined {
    return this.#answeredAtMs;
  }

  /** Stop trying. */
  giveUp(): void {
    this.#quit.abort();
  }

  /** The reply, or `undefined` when storage refuses the turn for good and its parts are seen to one by one. */
  async take(turn: Turn): Promise<TurnReply | undefined> {
    const { lease } = turn;
    let { settle } = turn;
    let troubled = false;
    /** So many of the settlements may have been carried out. */
    let unsure = 0;
    let longestMs = longestPauseMs;
    for (let pauseMs = firstPauseMs; !this.over;) {
      if (troubled) settle = [...settle, ...this.#events.endedSince()];
      // A lease request that may have been carried out is sent again as it was, for it gets the same tasks again.
      const first = troubled && lease !== undefined && settle.length > 0;
      try {
        const reply = await this.#exchange(first ? { settle } : { settle, lease });
        this.#refusal = undefined;
        this.#conclude(settle, reply.settled, unsure);
        if (!first) return reply;
        [settle, unsure] = [[], 0];
        continue;
      } catch (error) {
        if (HoldfastError.is(error, "CLOSED")) {
          this.#log.error({ error }, "the broker was closed under a running worker: stop the worker first");
          this.#closed ??= {
            sinceMs: this.#broker.clock.nowMs(),
            problem: "the broker was closed under a running worker",
          };
          this.giveUp();
          break;
        }
        if (HoldfastError.is(error, "BROKER_UNAVAILABLE")) {
          if (error.data.outcome === "unknown") unsure = settle.length;
        } else if (HoldfastError.is(error, "BROKER_INCOMPATIBLE")) {
          // It was fit when the worker started: a password was changed, say. What is to be settled waits for it.
          longestMs = longestHopelessPauseMs;
          this.#log.error({ error }, `storage cannot be used any more; trying again in ${pauseMs} ms`);
        } else {
          this.#refusal = error instanceof Error ? error : new Error(String(error));
          this.#log.error({ error }, "storage refused a turn; its settlements are tried again queue by queue");
          for (const part of byQueue(settle)) void this.#insist(part);
          return undefined;
        }
        troubled = true;
      }
      await pause(pauseMs * (0.75 + Math.random() / 4), this.#quit.signal);
      pauseMs = Math.min(pauseMs * 2, longestMs);
    }
    return undefined;
  }

  /** Of the first `unsure` an earlier try may have been carried out: there `leaseLost` says no more than that. */
  #conclude(settle: readonly Settlement[], receipts: readonly SettleReceipt[], unsure: number): void {
    const done: Settlement[] = [];
    const away: Settlement[] = [];
    const confirmations: Confirmation[] = [];
    for (const [n, settlement] of settle.entries()) {
      const receipt = receipts[n]!;
      if (receipt === "unavailable") away.push(settlement);
      else {
        done.push(settlement);
        confirmations.push(n < unsure ? repeated(receipt) : receipt);
      }
    }
    if (done.length > 0) this.#events.onSettled(done, confirmations);
    for (const part of byQueue(away)) this.#wait(part);
  }

  /** One queue's settlements, until its storage is back. */
  #wait(settle: readonly Settlement[]): void {
    const { queue } = settle[0]!.task.lease;
    const waiting = this.#away.get(queue);
    if (waiting !== undefined) waiting.push(...settle);
    else {
      this.#away.set(queue, [...settle]);
      const fields = { queue, tasks: settle.length };
      this.#log.warn(fields, "this queue's storage is away: what has ended is settled when it is back");
      void this.#settleWhenBack(queue);
    }
  }

  /**
   * One loop for each queue takes up all that is added: of as many as there were turns each would ask on its own. Storage
   * may be back at any moment, and these tasks' leases go on running out, so it asks often.
   */
  async #settleWhenBack(queue: string): Promise<void> {
    for (let pauseMs = firstPauseMs; this.#away.get(queue)!.length > 0;) {
      await pause(pauseMs, this.#quit.signal);
      if (this.over) return;
      const [part, rest] = parted(this.#away.get(queue)!, mostTogether);
      this.#away.set(queue, rest);
      const answer = await this.#again(part);
      if (answer === "away") this.#away.set(queue, [...part, ...this.#away.get(queue)!]);
      else if (answer !== "settled") void this.#insist(part);
      pauseMs = answer === "away" ? Math.min(Math.max(firstPauseMs, pauseMs * 2), longestPauseMs) : 0;
    }
    this.#away.delete(queue);
  }

  /**
   * One queue's settlements alone, until they are through: trouble in one queue must not hold up the others, nor one
   * settlement its neighbours.
   */
  async #insist(settle: readonly Settlement[]): Promise<void> {
    const { queue } = settle[0]!.task.lease;
    for (let pauseMs = firstInsistMs; !this.over; pauseMs = Math.min(pauseMs * 2, longestInsistMs)) {
      const answer = await this.#again(settle);
      if (answer === "settled") return;
      if (answer === "away") return this.#wait(settle);
      const fields = { queue, tasks: settle.length, error: answer.error };
      this.#log.warn(fields, `settling failed; trying again in ${pauseMs} ms`);
      if (settle.length > 1) {
        const middle = Math.ceil(settle.length / 2);
        void this.#insist(settle.slice(0, middle));
        void this.#insist(settle.slice(middle));
        return;
      }
      await pause(pauseMs, this.#quit.signal);
    }
  }

  /** One queue's settlements once more: the turn that failed may have carried some of them out. */
  async #again(settle: readonly Settlement[]): Promise<"settled" | "away" | { readonly error: unknown }> {
    try {
      const { settled } = await this.#exchange({ settle });
      const confirmations = settled.filter((receipt) => receipt !== "unavailable").map(repeated);
      if (confirmations.length < settle.length) return "away";
      this.#events.onSettled(settle, confirmations);
      return "settled";
    } catch (error) {
      return HoldfastError.is(error, "BROKER_UNAVAILABLE") ? "away" : { error };
    }
  }

  async #exchange(turn: Turn): Promise<TurnReply> {
    try {
      const reply = await this.#watch.call(
        "a turn with storage",
        () => this.#broker.exchange(turn, this.#broker.clock.nowMs()),
        { decides: true },
      );
      this.#answeredAtMs = this.#broker.clock.nowMs();
      return reply;
    } finally {
      this.#tries += 1;
    }
  }
}

/** Of a settlement that was tried before, and that may have been carried out then. */
const repeated = (receipt: Confirmation): Confirmation => (receipt === "leaseLost" ? "presumed" : receipt);

const byQueue = (settlements: readonly Settlement[]): Iterable<Settlement[]> =>
  groupedBy(settlements, ({ task }) => task.lease.queue).values();
