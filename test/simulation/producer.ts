import type { EnqueueReceipt } from "../../src/broker/broker.js";
import { Client } from "../../src/client/client.js";
import type { EnqueueOptions } from "../../src/client/policy.js";
import { HoldfastError } from "../../src/core/errors.js";
import { silent } from "../../src/core/log.js";
import { rawBytes } from "../../src/core/payload.js";
import { fixed } from "../../src/core/retry.js";
import { type AnyRequest, defineTask, type TaskOptions } from "../../src/core/task.js";
import { LocalSpool } from "../../src/spool/local-spool.js";
import type { SimBroker } from "./broker.js";
import type { Disk, SimStore } from "./disk.js";
import type { Journal } from "./journal.js";
import type { Process, World } from "./world.js";

const maxRetry = 3;
export const simTask = defineTask("sim", { codec: rawBytes, maxRetry, retry: fixed("1s") });
/** Faster than real ones, so that a run need not be long. */
const pace = { awayMs: 250, longestAwayMs: 2_000, failedMs: 500, longestFailedMs: 2_000, parkAfter: 4 };
const timeoutMs = 3_000;
/** What the file may add to a call's own time. */
const diskMs = 12_000;

const plans = ["flaky", "skip", "later", "kept", "ordered", "ordered", "unique", "slow", "slow"] as const;
type Plan = (typeof plans)[number] | "plain" | "poison";

export interface ProducerOptions extends Required<Pick<EnqueueOptions, "accept" | "whenDown">> {
  readonly trustAfterMs: number;
  readonly afterSave: boolean;
}

/** A program that enqueues, whatever storage does. */
export class Producer {
  readonly process: Process;
  readonly broker: SimBroker;
  readonly client: Client;
  readonly spool: LocalSpool;
  store: SimStore | undefined;
  underWay = 0;
  readonly #world: World;
  readonly #journal: Journal;
  #made = 0;

  constructor(
    world: World,
    journal: Journal,
    broker: SimBroker,
    owner: Process,
    disk: Disk,
    { accept, whenDown, trustAfterMs, afterSave }: ProducerOptions,
  ) {
    this.#world = world;
    this.#journal = journal;
    this.process = owner;
    this.broker = broker;
    const openStore = async () => (this.store = disk.open(owner));
    this.spool = new LocalSpool(broker, { directory: "memory", openStore, log: silent, trustAfterMs, afterSave, pace });
    if (whenDown === "spool") broker.spool = this.spool;
    this.client = new Client(broker, { timeout: `${timeoutMs}ms`, accept, whenDown });
    // What an earlier process left is delivered, too.
    this.spool.nudge();
  }

  /** Some calls at once. */
  turn(): void {
    const count = this.#world.chance(0.05) ? this.#world.among(5, 20) : this.#world.among(1, 2);
    const calls = Array.from({ length: count }, () => this.#call(this.#anyPlan()));
    if (this.#world.chance(0.3)) {
      void this.#hear(
        calls.map(({ k }) => k),
        this.client.enqueueAll(calls.map(({ request }) => request)),
      );
    } else {
      for (const { k, request } of calls) {
        const answered = this.client.enqueue(request).then((receipt) => [receipt]);
        void this.#hear([k], answered);
      }
    }
  }

  #anyPlan(): Plan {
    if (this.#world.chance(0.01)) return "poison";
    return this.#world.chance(0.4) ? this.#world.one(plans) : "plain";
  }

  #call(plan: Plan): { readonly k: string; readonly request: AnyRequest } {
    const world = this.#world;
    const k = `${this.process.name}-${(this.#made += 1)}`;
    const queue = plan === "ordered" ? "ordered" : world.one(["alpha", "beta"]);
    // Some go on for longer than a lease.
    const ms = plan === "slow" ? world.one([300, 1_000, 2_000, 7_000]) : world.among(1, 20);
    // What shares a lock has the same payload; which call it was is told by a header.
    const lock = plan === "unique" ? `lock-${world.among(1, 3)}` : "";
    const payload = lock === "" ? `${plan}|${ms}|${k}` : `${plan}|5|${lock}`;
    const uniqueS = world.among(2, 30);
    const delayS = world.among(1, 6);
    const options: TaskOptions = {
      queue,
      headers: { k, ...(plan === "poison" && { poison: "yes" }) },
      ...(plan === "kept" && { retention: "1h" }),
      ...(plan === "later" && { processIn: `${delayS}s` }),
      ...(plan === "unique" && { unique: `${uniqueS}s` }),
    };
    this.#journal.say({
      e: "invoke",
      k,
      queue,
      hash: payload,
      maxRetry,
      withinMs: timeoutMs + (this.broker.spool === undefined ? 0 : diskMs),
      ...(plan === "later" && { dueAt: world.nowMs + delayS * 1_000 }),
      ...(plan === "unique" && { lock: `${queue} ${lock}`, lockMs: uniqueS * 1_000 }),
      ...(plan === "ordered" && { ordered: true as const }),
    });
    return { k, request: simTask(Buffer.from(payload), options) };
  }

  async #hear(ks: readonly string[], answers: Promise<EnqueueReceipt[]>): Promise<void> {
    this.underWay += 1;
    try {
      const receipts = await answers;
      for (const [n, k] of ks.entries()) {
        const { id, status } = receipts[n]!;
        this.#journal.say({ e: "accepted", k, id, how: status }, this.process.name);
      }
    } catch (error) {
      // Only these say for certain that nothing was stored.
      const certain =
        (HoldfastError.is(error, "BROKER_UNAVAILABLE") && error.data.outcome !== "unknown") ||
        HoldfastError.is(error, "SPOOL_FULL");
      const code = error instanceof HoldfastError ? error.code : String(error);
      for (const k of ks)
        this.#journal.say(certain ? { e: "rejected", k, code } : { e: "unknown", k }, this.process.name);
    }
    this.underWay -= 1;
  }
}
