import { afterAll, beforeAll, expect, it } from "vitest";
import type { Broker, LeaseRequest } from "../../src/broker/broker.js";
import type { EffectStep } from "../../src/broker/effects.js";
import type { MoveTarget } from "../../src/broker/roles.js";
import { Client, defineTask, fixed, Worker } from "../../src/index.js";
import { redisBroker } from "../../src/redis/index.js";
import { failure, newTask, settled } from "../support/builders.js";
import { renew } from "../support/renew.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const nowS = Math.floor(Date.now() / 1_000);
const nowMs = nowS * 1_000;

const request = (limit: number): LeaseRequest => ({
  workerId: "w1",
  requestId: `request-${limit}`,
  queues: ["default"],
  limit,
  leaseMs: 30_000,
  suspects: 1,
});

describeRedis("when memory is full", () => {
  let server: RedisServer;
  let broker: Broker;

  beforeAll(async () => {
    server = await RedisServer.start({ config: { maxmemory: "12mb", "maxmemory-policy": "noeviction" } });
    broker = redisBroker({ url: server.url });
  });
  afterAll(async () => {
    await broker.close();
    await server.stop();
  });

  it("enqueue is refused; what is there is leased, renewed, settled, reclaimed, promoted and pruned all the same", async () => {
    const tasks = Array.from({ length: 20 }, (_, n) => newTask({ id: `t${n}`, retentionMs: n < 8 ? 1_000 : 0 }));
    await broker.enqueue([...tasks, newTask({ id: "later" }, { processAtMs: nowMs + 1_000 })], nowMs);
    const early = (await broker.exchange({ settle: [], lease: request(2) }, nowMs)).leased;
    await fill(server);

    await expect(broker.enqueue([newTask({ id: "more" })], nowMs)).rejects.toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { outcome: "refused", taskIds: ["more"] },
    });
    expect(await server.admin.exists("asynq:{default}:t:more")).toBe(0);

    const turn = { settle: [], lease: request(14) };
    const leased = (await broker.exchange(turn, nowMs)).leased;
    expect(leased.length).toBe(14);
    expect((await broker.exchange(turn, nowMs + 1_000)).leased.length).toBe(14);
    expect(await renew(server, ["default"], leased, nowS + 60)).toEqual(["r".repeat(14), ""]);

    const [done, ...others] = leased;
    const settle = [
      settled.completed(done!),
      settled.retry(others[0]!, nowMs),
      settled.archived(others[1]!, failure()),
      settled.released(others[2]!),
      ...others.slice(3).map((task) => settled.completed(task)),
    ];
    expect((await broker.exchange({ settle }, nowMs)).settled).toEqual(settle.map(() => "settled"));
    expect((await broker.reclaim(["default"], 10, nowMs + 40_000)).length).toBe(early.length);
    expect((await broker.promote(["default"], 10, nowMs + 2_000)).moved).toBe(2);
    expect(await broker.prune(["default"], 10, nowMs + 60_000)).toBe(3);
    await expect(broker.enqueue([newTask({ id: "more" })], nowMs)).rejects.toMatchObject({
      data: { outcome: "refused" },
    });
  });

  it("a worker drains what is there, results and retries included, and does not think that storage is down", async () => {
    await server.admin.flushall("SYNC");
    const log: unknown[] = [];
    const note = (fields: unknown, text: string) => void log.push({ fields, text });
    const client = new Client(broker);
    const sum = defineTask<{ n: number }, number>("sum", { retention: "1h", retry: fixed("1s") });
    const later = Array.from({ length: 10 }, (_, n) => sum({ n }, { processIn: "1s" }));
    const receipts = await client.enqueueAll([...Array.from({ length: 50 }, (_, n) => sum({ n })), ...later]);
    await fill(server);
    const failed = new Set<string>();
    const states = new Set<string>();
    const worker = new Worker(broker, { log: { debug() {}, info() {}, warn: note, error: note } });
    worker.handle(sum, ({ n }, task) => {
      task.progress({ n });
      states.add(worker.health().state);
      if (n === 7 && !failed.has(task.id)) {
        failed.add(task.id);
        throw new Error("the first attempt fails");
      }
      return n * 2;
    });
    await worker.start();
    try {
      await until(
        "all are done",
        () => {
          states.add(worker.health().state);
          return worker.counters().completed === 60;
        },
        15_000,
      );
      // It announces itself every 5 s.
      const looked = performance.now();
      await until(
        "it has announced itself again",
        () => {
          states.add(worker.health().state);
          return performance.now() - looked > 5_500;
        },
        8_000,
      );
    } finally {
      await worker.stop();
    }

    const [first] = await broker.find([{ queue: "default", id: receipts[3]!.id }]);
    expect(first!.state).toBe("completed");
    expect(String(first!.result)).toBe("6");
    expect(worker.counters()).toMatchObject({ completed: 60, retried: failed.size, leaseLost: 0 });
    expect([...states]).toEqual(["running"]);
    expect(log.filter((line) => !JSON.stringify(line).includes("will be tried again"))).toEqual([]);
  }, 30_000);

  it("effects are begun, done and taken back", async () => {
    await server.admin.flushall("SYNC");
    await broker.enqueue([newTask({ id: "once" })], nowMs);
    const [task] = (await broker.exchange({ settle: [], lease: request(1) }, nowMs)).leased;
    await fill(server);
    const step = async (key: string, act: EffectStep["act"]) =>
      (await broker.remember([{ lease: task!.lease, key, act }]))[0];

    expect(await step("charge", { kind: "begin" })).toEqual({ status: "begun" });
    expect(await step("charge", { kind: "done", result: "1" })).toEqual({ status: "done", result: "1" });
    expect(await step("mail", { kind: "begin" })).toEqual({ status: "begun" });
    expect(await step("mail", { kind: "undone" })).toEqual({ status: "open" });
    expect(await step("charge", { kind: "begin" })).toEqual({ status: "done", result: "1" });
  });

  it("dead letters are discarded, restored, marked and purged; none is taken in from elsewhere", async () => {
    await server.admin.flushall("SYNC");
    const by = { actor: "ops", reason: "", requestId: "r" };
    const ids = ["a", "b"];
    const store = broker.deadLetters!;
    await broker.enqueue(
      ids.map((id) => newTask({ id })),
      nowMs,
    );
    const { leased } = await broker.exchange({ settle: [], lease: request(2) }, nowMs);
    await broker.exchange({ settle: leased.map((task) => settled.archived(task)) }, nowMs);
    const [letter] = await store.readLetters([{ queue: "default", id: "a" }]);
    await fill(server);

    expect(await store.acknowledge("default", ["a"], true, by, nowMs)).toEqual(["acknowledged"]);
    expect(await store.discard("default", ids, nowMs + 60_000, by, nowMs)).toEqual(["discarded", "discarded"]);
    expect(await store.restore("default", ["a"], by, nowMs)).toEqual(["restored"]);
    expect(await store.beginCopy(letter!, { queue: "default", id: "c", digest: "" }, by, nowMs)).toEqual({
      status: "begun",
    });
    await store.endCopy(letter!, false, by, nowMs);
    expect(await store.purge("default", ["b"], by, nowMs)).toEqual(["purged"]);
    await expect(store.adoptLetters([{ ...letter!, id: "x" }], by, nowMs)).rejects.toMatchObject({
      data: { outcome: "refused" },
    });
    expect(await server.admin.exists("asynq:{default}:t:x")).toBe(0);
  });

  it("tasks are archived, run and deleted, queues paused, resumed and dropped, which makes room", async () => {
    await server.admin.flushall("SYNC");
    const by = { actor: "ops", reason: "", requestId: "r" };
    const queue = "full";
    await broker.enqueue(
      ["a", "b", "c"]
        .map((id) => newTask({ id, queue }))
        .concat(newTask({ id: "d", queue }, { processAtMs: nowMs + 9 })),
      nowMs,
    );
    await fill(server);

    const move = (ids: readonly string[], to: MoveTarget) => broker.move({ queue, ids }, to, by, { limit: 9 }, nowMs);
    await expect(broker.updatePayload({ queue, id: "a" }, Buffer.from("larger"), by, nowMs)).rejects.toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { outcome: "refused" },
    });
    expect(await move(["a"], "archived")).toEqual({ receipts: ["moved"] });
    expect(await move(["d", "a"], "pending")).toEqual({ receipts: ["moved", "moved"] });
    expect(await move(["b"], "deleted")).toEqual({ receipts: ["moved"] });
    expect(await broker.setPaused([queue], true, by, nowMs)).toEqual(["changed"]);
    expect(await broker.setPaused([queue], false, by, nowMs)).toEqual(["changed"]);
    expect(await broker.move({ queue, state: "pending" }, "archived", by, { limit: 2 }, nowMs)).toMatchObject({
      moved: 2,
    });
    await expect(broker.enqueue([newTask({ id: "more" })], nowMs)).rejects.toMatchObject({
      data: { outcome: "refused" },
    });
    let receipt;
    do receipt = await broker.dropQueue(queue, { force: true, limit: 2 }, by, nowMs);
    while (receipt === "more");
    expect(receipt).toBe("dropped");
    expect(await server.admin.keys("*{full}*")).toEqual([]);
  });
});

/** Beyond all doubt: what clients' buffers give back does not make room. */
async function fill(server: RedisServer): Promise<void> {
  await server.admin.setrange("filler", 20_000_000, "x");
}
