import type { TaskState } from "../../../src/core/state.js";
import type { RedisServer } from "../../support/redis-server.js";
import { until } from "../../support/until.js";
import { boom, group, queue, result, type Side } from "./operations.js";
import { type GoTask, type Script, Witness } from "./witness.js";

/** asynq. Its server does its duties when it is there: what is paused stays where it is. */
export class GoSide implements Side {
  readonly #go: Witness;
  readonly #server: RedisServer;

  /** A process of its own, for asynq remembers which queues it has announced. */
  static async open(server: RedisServer): Promise<GoSide> {
    return new GoSide(server, await Witness.start(server));
  }

  private constructor(server: RedisServer, go: Witness) {
    this.#server = server;
    this.#go = go;
  }

  get admin() {
    return this.#server.admin;
  }

  close(): Promise<void> {
    return this.#go.kill();
  }

  async enqueue(task: GoTask): Promise<void> {
    await this.#go.enqueue(task);
  }

  async work(how: Parameters<Side["work"]>[0]): Promise<void> {
    const scripts: Record<typeof how, Script> = {
      succeed: {},
      keep: { result },
      fail: { fail: 100, error: boom },
      skip: { fail: 100, error: boom, skip: true },
      revoke: { revoke: true },
    };
    await this.#serve({ handlers: { "*": scripts[how] } }, () => this.#none("pending", "active"));
  }

  async release(): Promise<void> {
    const started = () => this.admin.llen(`asynq:{${queue}}:active`);
    await this.#serve({ handlers: { "*": { sleepMs: 5_000 } } }, async () => (await started()) === 1);
  }

  promote = () => this.#serve({}, async () => (await this.#none("scheduled")) && (await this.#none("retry")));
  prune = () => this.#serve({}, () => this.#none("completed"));
  reclaim = () => this.#serve({}, () => this.#none("active"));

  run = (id: string) => this.#go.inspect("run", { queue, id });
  archive = (id: string) => this.#go.inspect("archive", { queue, id });
  delete = (id: string) => this.#go.inspect("delete", { queue, id });
  runAll = (state: TaskState) => this.#go.inspect("runAll", { queue, state, group });
  archiveAll = (state: TaskState) => this.#go.inspect("archiveAll", { queue, state, group });
  deleteAll = (state: TaskState) => this.#go.inspect("deleteAll", { queue, state, group });
  update = (id: string, payload: Uint8Array) => this.#go.inspect("update", { queue, id, payload });
  pause = () => this.#go.inspect("pause", { queue });
  resume = () => this.#go.inspect("resume", { queue });
  cancel = (id: string) => this.#go.inspect("cancel", { id });
  drop = () => this.#go.inspect("drop", { queue, force: true });

  /** It says so at once, then every five seconds. */
  async appear(): Promise<void> {
    await this.#go.serve({ queues: { [queue]: 1 }, shutdownMs: 50, handlers: { "*": { block: true } } });
    await until("asynq's server is there", async () => {
      const [key] = await this.admin.zrange("asynq:servers", 0, "0");
      return key !== undefined && (await this.admin.exists(key)) === 1 && (await this.#none("pending"));
    });
  }

  /** The lease is what it extends last. */
  async beat(): Promise<void> {
    const lease = () => this.admin.zscore(`asynq:{${queue}}:lease`, "a");
    const before = await lease();
    await until("asynq's server has beaten", async () => (await lease()) !== before, 15_000);
  }

  leave = () => this.#go.stop();

  async #serve(options: Parameters<Witness["serve"]>[0], done: () => Promise<boolean>): Promise<void> {
    await this.#go.serve({
      queues: { [queue]: 1 },
      retryDelayMs: 3_600_000,
      forwardMs: 50,
      janitorMs: 50,
      shutdownMs: 50,
      ...options,
    });
    await until("asynq is done", done, 15_000);
    await this.#go.stop();
  }

  async #none(...keys: string[]): Promise<boolean> {
    return (await this.admin.exists(keys.map((key) => `asynq:{${queue}}:${key}`))) === 0;
  }
}
