import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { onTestFinished } from "vitest";
import type { Assurance, EnqueueReceipt, Producing } from "../../src/broker/broker.js";
import { Client, type ClientOptions } from "../../src/client/client.js";
import { DisciplinedClock } from "../../src/core/clock.js";
import { HoldfastError } from "../../src/core/errors.js";
import type { NewTask } from "../../src/core/message.js";
import { defineTask } from "../../src/core/task.js";
import type { MemorySpool } from "./memory-spool.js";
import { until } from "./until.js";

export const ping = defineTask<{ n: number }>("ping");

let storages = 0;

type Weather = "fair" | "away" | "unknown" | "refusing";

/** A storage that can be away, in parts named after their queues if there are several. */
export class ScriptedStorage implements Producing {
  readonly label = `scripted:${++storages}`;
  readonly clock = new DisciplinedClock();
  readonly calls: (readonly NewTask[])[] = [];
  readonly assurances: Assurance[] = [];
  /** How long each call had, ms. */
  readonly within: number[] = [];
  readonly spool: MemorySpool | undefined;
  readonly shardOf?: (queue: string) => string;
  weather: Weather = "fair";
  /** Queues whose part of storage is away. */
  readonly away = new Set<string>();
  /** Queues of which it cannot take a task, and when it says so. */
  readonly broken = new Map<string, Promise<void>>();
  pings = 0;
  #closed = false;

  constructor(options: { spool?: MemorySpool; parts?: boolean } = {}) {
    this.spool = options.spool;
    if (options.parts === true) this.shardOf = (queue) => `node of ${queue}`;
    // An open breaker would else go on probing through the tests that come after it in the same process.
    onTestFinished(() => this.close());
  }

  close(): void {
    this.#closed = true;
  }

  async enqueue(tasks: readonly NewTask[], _ = 0, withinMs = 0): Promise<EnqueueReceipt[]> {
    if (this.#closed) throw new HoldfastError("CLOSED", { what: this.label });
    this.calls.push(tasks);
    this.within.push(withinMs);
    const broken = tasks.map(({ message }) => this.broken.get(message.queue)).find((when) => when !== undefined);
    if (broken !== undefined) {
      await broken;
      throw new HoldfastError("BROKER_FAILED", { broker: this.label, problem: "WRONGTYPE" });
    }
    this.#answer(tasks.some(({ message }) => this.away.has(message.queue)));
    return tasks.map((task) => ({ status: "enqueued", id: task.message.id, state: "pending" }));
  }

  async enqueueAssured(tasks: readonly NewTask[], nowMs: number, withinMs: number, assurance: Assurance) {
    this.assurances.push(assurance);
    if (assurance.replicas > 1) throw this.#error("unknown", { acknowledged: { replicas: 1, wanted: 2 } });
    return this.enqueue(tasks, nowMs, withinMs);
  }

  async ping(queue?: string): Promise<void> {
    if (this.#closed) throw new HoldfastError("CLOSED", { what: this.label });
    this.pings += 1;
    this.#answer(queue !== undefined && this.away.has(queue));
  }

  #answer(away: boolean): void {
    if (this.weather !== "fair" || away) {
      const outcomes = { fair: "notSent", away: "notSent", unknown: "unknown", refusing: "refused" } as const;
      throw this.#error(outcomes[this.weather]);
    }
  }

  #error(outcome: "notSent" | "unknown" | "refused", more = {}) {
    return new HoldfastError("BROKER_UNAVAILABLE", {
      broker: this.label,
      problem: "cut",
      outcome,
      taskIds: [],
      ...more,
    });
  }
}

/** What the breakers for this storage tell until the test is over. */
export function breakerEvents({ label }: ScriptedStorage): string[] {
  const told: string[] = [];
  const listener = (event: unknown) => {
    const { event: kind, broker, state, shard } = event as Record<"event" | "broker" | "state" | "shard", string>;
    if (kind === "breaker" && broker === label) told.push(shard === "" ? state : `${shard}: ${state}`);
  };
  subscribe("holdfast.broker", listener);
  onTestFinished(() => void unsubscribe("holdfast.broker", listener));
  return told;
}

export const failure = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error as HoldfastError<"BROKER_UNAVAILABLE">,
  );
export const put = (client: Client, n = 0) => client.enqueue(ping({ n }));
export const clientOn = (storage: Producing, options?: ClientOptions) =>
  new Client(storage, { timeout: "300ms", ...options });

export async function openBreaker(client: Client, storage: ScriptedStorage, weather: Weather = "away"): Promise<void> {
  storage.weather = weather;
  await until("the breaker is open", async () => {
    await failure(client.enqueue(ping({ n: 0 }), { timeout: "50ms", whenDown: "fail" }));
    return client.health().storage.some(({ state }) => state === "open" || state === "halfOpen");
  });
}
