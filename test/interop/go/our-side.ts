import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { LeasedTask, Settlement } from "../../../src/broker/broker.js";
import type { Act } from "../../../src/broker/roles.js";
import { encodeMessage } from "../../../src/core/codec.js";
import type { WorkerInfo } from "../../../src/core/info.js";
import { newTask as newTaskOf, type TaskMessage } from "../../../src/core/message.js";
import type { TaskState } from "../../../src/core/state.js";
import { redisBroker } from "../../../src/redis/index.js";
import { pendingKey } from "../../../src/redis/keys.js";
import type { RedisBroker } from "../../../src/redis/redis-broker.js";
import { Inspector, type TaskRequest } from "../../../src/index.js";
import type { RedisServer } from "../../support/redis-server.js";
import { settled } from "../../support/builders.js";
import { renew } from "../../support/renew.js";
import { boom, group, queue, result, type Side } from "./operations.js";
import { ours } from "./site.js";
import type { GoTask } from "./witness.js";

const act: Act = { actor: "test", reason: "", requestId: "r" };
const all = { limit: 500 };

/** Holdfast's engine on Redis. */
export class OurSide implements Side {
  protected readonly broker: RedisBroker;
  readonly #server: RedisServer;
  readonly #id = `${hostname()}:${process.pid}:${randomUUID()}`;
  #requests = 0;
  #held: readonly LeasedTask[] = [];

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

  async appear(): Promise<void> {
    await this.#announce([]);
    if ((await this.admin.exists(pendingKey(queue))) === 1) this.#held = await this.#lease();
  }

  /** A worker does the one every five seconds, its lease keeper the other when a third of a lease is over. */
  async beat(): Promise<void> {
    await this.#announce(this.#held);
    // Later than it was, as it is by then: one that ends as late already is left as it is.
    const untilS = Math.ceil(this.#now / 1_000) + 31;
    await renew(this.#server, [queue], this.#held, untilS);
  }

  leave = () => this.broker.withdraw(this.#worker([]));

  async #announce(held: readonly LeasedTask[]): Promise<void> {
    await this.broker.announce(this.#worker(held), 10_000, this.#now);
  }

  /** As a worker tells of itself. */
  #worker(held: readonly LeasedTask[]): WorkerInfo {
    const startedAtMs = this.#now;
    return {
      id: this.#id,
      host: hostname(),
      pid: process.pid,
      concurrency: 10,
      queues: { [queue]: 1 },
      strictPriority: false,
      status: "active",
      startedAtMs,
      running: held.map(({ lease: { id }, message: { type, payload, timeoutMs } }) => ({
        queue,
        id,
        type,
        payload,
        startedAtMs,
        limitAtMs: startedAtMs + timeoutMs,
      })),
    };
  }

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
