import { expect, it } from "vitest";
import type { Broker, LeaseRequest, TurnReply } from "../../src/broker/broker.js";
import { newTask, settled } from "../support/builders.js";
import { onRedis } from "../support/on-redis.js";
import { describeRedis, type RedisServer } from "../support/redis-server.js";

const nowS = Math.floor(Date.now() / 1_000);
const nowMs = nowS * 1_000;

describeRedis("leasing on Redis", () => {
  let server: RedisServer;
  let broker: Broker;
  let requests = 0;

  onRedis((site) => ({ server, broker } = site));

  const request = (fields: Partial<LeaseRequest>): LeaseRequest => ({
    workerId: "w1",
    requestId: `request-${requests++}`,
    queues: ["default"],
    limit: 10,
    leaseMs: 30_000,
    suspects: 1,
    ...fields,
  });
  const lease = (fields: Partial<LeaseRequest> = {}): Promise<TurnReply> =>
    broker.exchange({ settle: [], lease: request(fields) }, nowMs);
  const idsOf = ({ leased }: TurnReply) => leased.map((task) => task.lease.id);

  /** In the order of running. */
  async function enqueue(...ids: string[]): Promise<void> {
    await broker.enqueue(
      ids.map((id) => newTask({ id })),
      nowMs,
    );
  }
  async function suspect(crashes: number, ...ids: string[]): Promise<void> {
    const pipeline = server.admin.pipeline();
    for (const id of ids) pipeline.hset(`asynq:{default}:t:${id}`, "hf_crashes", crashes);
    await pipeline.exec();
  }
  const numbered = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name}${n}`);
  const pending = async () => (await server.admin.lrange("asynq:{default}:pending", 0, -1)).toReversed();

  it("finds what is ready behind more than a thousand suspects that must wait, and leaves them their places", async () => {
    const suspects = numbered("s", 1_200);
    await enqueue(...suspects, "a", "b", "c");
    await suspect(1, ...suspects);

    const reply = await lease({ suspects: 0, limit: 2 });

    expect([idsOf(reply), reply.more]).toEqual([["a", "b"], false]);
    expect(await pending()).toEqual([...suspects, "c"]);
  });

  it("looks at 2,000 waiting tasks and no further, and does not ask to come again for that", async () => {
    const suspects = numbered("s", 2_100);
    await enqueue(...suspects, "a");
    await suspect(1, ...suspects);

    expect(await lease({ suspects: 0 })).toMatchObject({ leased: [], more: false });
  });

  it("leases a task that may not crash once more alone, and not after others", async () => {
    await enqueue("a", "last", "b");
    await suspect(2, "last");

    expect(idsOf(await lease({ limit: 2 }))).toEqual(["a", "b"]);
    await enqueue("c");
    await broker.enqueue([newTask({ id: "d", queue: "other" })], nowMs);
    expect(idsOf(await lease({ queues: ["other", "default"], limit: 1 }))).toEqual(["d"]);
    const alone = await lease({ queues: ["default", "other"], suspects: 5 });
    expect([idsOf(alone), alone.more]).toEqual([["last"], false]);
    expect(idsOf(await lease())).toEqual(["c"]);
  });

  it("says that there is more when an answer is full of bytes, and only then", async () => {
    const payload = new Uint8Array(400_000);
    await broker.enqueue(
      numbered("t", 4).map((id) => newTask({ id, payload })),
      nowMs,
    );

    const first = await lease();
    expect([first.leased.length, first.more]).toEqual([3, true]);
    expect(await lease()).toMatchObject({ leased: [{}], more: false });
    expect(await lease()).toMatchObject({ leased: [], more: false });
  });

  it("says that there is more when it gives fewer than asked for, for one call takes no more", async () => {
    await enqueue(...numbered("t", 520));

    expect(await lease({ limit: 600 })).toMatchObject({ more: true });
    expect(await lease({ limit: 20 })).toMatchObject({ more: false });
  });

  it("says that there is more when what it found could not be decoded, or was no task", async () => {
    await enqueue(...numbered("bad", 10), "a");
    for (const id of numbered("bad", 10))
      await server.admin.hset(`asynq:{default}:t:${id}`, "msg", Buffer.from([0xff]));
    expect(await lease()).toMatchObject({ leased: [], more: true });
    expect(await lease()).toMatchObject({ leased: [{ lease: { id: "a" } }], more: false });

    await enqueue("first", ...numbered("ghost", 200), "z");
    for (const id of numbered("ghost", 200)) await server.admin.del(`asynq:{default}:t:${id}`);
    expect(await lease()).toMatchObject({ leased: [{ lease: { id: "first" } }], more: true });
    expect(idsOf(await lease())).toEqual(["z"]);
  });

  it("does not say so of a paused queue", async () => {
    await enqueue("a");
    await server.admin.set("asynq:{default}:paused", "1");

    expect(await lease()).toMatchObject({ leased: [], more: false });
  });

  it("says of each task whether it is to run at most once", async () => {
    await broker.enqueue([newTask({ id: "once" }, { atMostOnce: true }), newTask({ id: "plain" })], nowMs);
    const turn = { settle: [], lease: request({}) };

    const first = await broker.exchange(turn, nowMs);
    expect(first.leased.map((task) => task.atMostOnce)).toEqual([true, false]);
    expect((await broker.exchange(turn, nowMs)).leased.map((task) => task.atMostOnce)).toEqual([true, false]);
  });

  it("remembers a request for as long as its leases last", async () => {
    await enqueue("a");
    await lease({ leaseMs: 600_000 });

    expect(await server.admin.ttl("holdfast:{default}:req:w1")).toBeGreaterThan(590);
  });

  it("gives back what a repeated turn holds when settling in it fails", async () => {
    await broker.enqueue([newTask({ id: "a", queue: "bad" }), newTask({ id: "next" })], nowMs);
    const held = (await lease({ queues: ["bad"] })).leased;
    const turn = { settle: held.map((task) => settled.completed(task)), lease: request({}) };
    await broker.exchange({ settle: [], lease: turn.lease }, nowMs);
    await server.admin.del("holdfast:{bad}:leases");
    await server.admin.set("holdfast:{bad}:leases", "in the way");

    await expect(broker.exchange(turn, nowMs)).rejects.toMatchObject({ code: "BROKER_FAILED" });

    expect(await pending()).toEqual(["next"]);
    expect(await server.admin.exists("asynq:{default}:active", "asynq:{default}:lease")).toBe(0);
  });
});
