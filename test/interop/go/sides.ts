import type { LeasedTask, Settlement } from "../../../src/broker/broker.js";
import type { Act } from "../../../src/broker/roles.js";
import { encodeMessage } from "../../../src/core/codec.js";
import { newTask as newTaskOf, type TaskMessage } from "../../../src/core/message.js";
import type { TaskState } from "../../../src/core/state.js";
import { redisBroker } from "../../../src/redis/index.js";
import type { RedisBroker } from "../../../src/redis/redis-broker.js";
import { Inspector, type TaskRequest } from "../../../src/index.js";
import type { RedisServer } from "../../support/redis-server.js";
import { settled } from "../../support/builders.js";
import { until } from "../../support/until.js";
import { group, queue, type Side } from "./operations.js";
import { ours } from "./site.js";
import { type GoTask, type Script, Witness } from "./witness.js";

const boom = "boom";
const result = Buffer.from("result");

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

const act: Act = { actor: "test", reason: "", requestId: "r" };
const all = { limit: 500 };

/** Holdfast's engine on Redis. */
export class OurSide implements Side {
  protected readonly broker: RedisBroker;
  readonly #server: RedisServer;
  #requests = 0;

  constructor(server: RedisServer) {
    this.#server = server;
    this.broker = redisBroker({ url: server.url }) as RedisBroker;
  }

  get admin() {
    return this.#server.admin;
  }

  close(): Promise<void> {
    return this.broker.close();
  }

  async enqueue({ group: into, ...task }: GoTask): Promise<void> {
    const made = newTaskOf(ours(task) as TaskRequest<unknown>, this.#now, task.id!, 1_000_000);
    if (into === undefined) await this.broker.enqueue([made], this.#now);
    else await this.#intoGroup({ ...made.message, group: into });
  }

  /** As Go's client does it: Holdfast puts none there yet. */
  async #intoGroup(message: TaskMessage): Promise<void> {
    const { id, group: into } = message;
    await this.admin.hset(`asynq:{${queue}}:t:${id}`, {
      msg: encodeMessage(message),
      state: "aggregating",
      group: into,
    });
    await this.admin.zadd(`asynq:{${queue}}:g:${into}`, Math.floor(this.#now / 1_000), id);
    await this.admin.sadd(`asynq:{${queue}}:groups`, into);
    await this.admin.sadd("asynq:queues", queue);
  }

  async work(how: Parameters<Side["work"]>[0]): Promise<void> {
    const leased = await this.#lease();
    const outcomes: Record<typeof how, (task: LeasedTask) => Settlement> = {
      succeed: (task) => settled.completed(task),
      keep: (task) => settled.completed(task, result),
      // As a worker decides.
      fail: (task) =>
        task.message.maxRetry === 0
          ? settled.archived(task, { message: boom })
          : settled.retry(task, this.#now + 3_600_000),
      skip: (task) => settled.archived(task, { message: "boom: skip retry for the task" }),
      revoke: (task) => settled.revoked(task),
    };
    await this.broker.exchange({ settle: leased.map(outcomes[how]) }, this.#now);
  }

  async release(): Promise<void> {
    const leased = await this.#lease();
    await this.broker.exchange({ settle: leased.map((task) => settled.released(task)) }, this.#now);
  }

  promote = async () => void (await this.broker.promote([queue], 100, this.#now));
  prune = async () => void (await this.broker.prune([queue], 100, this.#now));
  reclaim = async () => void (await this.broker.reclaim([queue], 100, this.#now));

  run = (id: string) => this.#move({ ids: [id] }, "pending");
  archive = (id: string) => this.#move({ ids: [id] }, "archived");
  delete = (id: string) => this.#move({ ids: [id] }, "deleted");
  runAll = (state: TaskState) => this.#move({ state }, "pending");
  archiveAll = (state: TaskState) => this.#move({ state }, "archived");
  deleteAll = (state: TaskState) => this.#move({ state }, "deleted");
  update = async (id: string, payload: Uint8Array) =>
    void (await this.broker.updatePayload({ queue, id }, payload, act, this.#now));
  pause = async () => void (await this.broker.setPaused([queue], true, act, this.#now));
  resume = async () => void (await this.broker.setPaused([queue], false, act, this.#now));
  cancel = async (id: string) => void (await this.broker.cancel([{ queue, id }], "retry", act, this.#now));
  drop = async () => void (await this.broker.dropQueue(queue, { force: true, ...all }, act, this.#now));

  get #now(): number {
    return this.broker.clock.nowMs();
  }

  async #lease(): Promise<LeasedTask[]> {
    const lease = {
      workerId: "w",
      requestId: `r${this.#requests++}`,
      queues: [queue],
      limit: 100,
      leaseMs: 30_000,
      suspects: 1,
    };
    return (await this.broker.exchange({ settle: [], lease }, this.#now)).leased;
  }

  async #move(what: { ids: string[] } | { state: TaskState }, to: "pending" | "archived" | "deleted"): Promise<void> {
    const selection = "state" in what && what.state === "aggregating" ? { ...what, group } : what;
    await this.broker.move({ queue, ...selection }, to, act, all, this.#now);
  }
}

/** The same, steered by the inspector that users have. */
export class InspectorSide extends OurSide {
  readonly #inspector = new Inspector(this.broker, { actor: "test" });

  override run = async (id: string) => void (await this.#inspector.run({ queue, ids: [id] }));
  override archive = async (id: string) => void (await this.#inspector.archive({ queue, ids: [id] }));
  override delete = async (id: string) => void (await this.#inspector.delete({ queue, ids: [id] }));
  override runAll = async (state: TaskState) => void (await this.#inspector.run(selectionOf(state)));
  override archiveAll = async (state: TaskState) => void (await this.#inspector.archive(selectionOf(state)));
  override deleteAll = async (state: TaskState) => void (await this.#inspector.delete(selectionOf(state)));
  override update = async (id: string, payload: Uint8Array) =>
    void (await this.#inspector.updatePayload(queue, id, payload));
  override pause = async () => void (await this.#inspector.pause(queue));
  override resume = async () => void (await this.#inspector.resume(queue));
  override cancel = async (id: string) => void (await this.#inspector.cancel({ queue, ids: [id] }));
  override drop = async () => void (await this.#inspector.drop(queue, { force: true }));
}

const selectionOf = (state: TaskState) => (state === "aggregating" ? { queue, state, group } : { queue, state });
