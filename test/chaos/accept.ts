import { defineTask } from "../../src/core/task.js";
import { type Broker, Client, connect } from "../../src/index.js";
import type { EnqueueOptions } from "../../src/client/policy.js";
import { silent } from "../../src/core/log.js";
import type { RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const task = defineTask<{ n: number }>("accepted");

/** What was accepted, and how much of it is there afterwards. */
export class Accepted implements AsyncDisposable {
  /** When, by the monotonic clock. */
  readonly ids = new Map<string, number>();
  readonly #broker: Broker;
  readonly #client: Client;
  readonly #options: EnqueueOptions;
  #ended = false;
  #producing: Promise<unknown> = Promise.resolve();
  #number = 0;

  constructor(url: string, options: EnqueueOptions, broker: Broker = connect(url, { timeout: "1s", log: silent })) {
    this.#broker = broker;
    this.#client = new Client(broker, { timeout: "5s" });
    this.#options = options;
  }

  /** Enqueue one after the other, in four lanes, until `end`; what fails is not accepted. */
  begin(): void {
    const lane = async () => {
      while (!this.#ended) {
        try {
          // oxlint-disable-next-line no-await-in-loop -- one after the other
          const { id } = await this.#client.enqueue(task({ n: (this.#number += 1) }), this.#options);
          this.ids.set(id, performance.now());
        } catch {
          // Nobody was promised anything.
        }
      }
    };
    this.#producing = Promise.all([lane(), lane(), lane(), lane()]);
  }

  /** So many more are accepted. */
  async more(count: number): Promise<void> {
    const goal = this.ids.size + count;
    await until(`${count} more are accepted`, () => this.ids.size >= goal, 30_000);
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#producing;
  }

  /** How many of those that were accepted before that time are not there. */
  async lostAt({ admin }: RedisServer, beforeMs = Number.POSITIVE_INFINITY): Promise<number> {
    const there = new Set(await admin.lrange("asynq:{default}:pending", 0, -1));
    return [...this.ids].filter(([id, atMs]) => atMs < beforeMs && !there.has(id)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    await this.#broker.close();
  }
}
