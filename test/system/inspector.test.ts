import { expect, it as test } from "vitest";
import {
  type BulkProgress,
  Client,
  defineTask,
  fixed,
  type HoldfastError,
  Inspector,
  type InspectorBroker,
  Worker,
} from "../../src/index.js";
import { describeBroker, type Trial } from "../contract/describe-broker.js";
import { redisBroker } from "../../src/redis/index.js";
import { newTask, settled } from "../support/builders.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const ids = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => `t${from + n}`);

/** By other hands on the same storage, as an operator's program is. */
const inspectorOf = (t: Trial) => new Inspector(t.broker, { actor: "ann" });

/** Tasks in retry, due a second apart, an hour from now. */
async function inRetry(t: Trial, all: readonly string[]): Promise<void> {
  for (let from = 0; from < all.length; from += 500) {
    await t.enqueue(all.slice(from, from + 500).map((id) => t.task(id, { maxRetry: 3 })));
    const leased = await t.leaseAll({ limit: 500 });
    await t.settle(leased.map((task, n) => settled.retry(task, t.at(3_600_000 + (from + n) * 1_000))));
  }
}

describeBroker("an inspector", ({ it }) => {
  it(
    "moves 3,000 tasks in batches, tells how far it is, and stops when told to",
    async (t) => {
      await inRetry(t, ids(0, 3_000));
      const inspector = inspectorOf(t);
      const selection = { queue: t.queue, state: "retry" } as const;
      const stop = new AbortController();
      const seen: BulkProgress[] = [];

      const some = await inspector.archive(selection, {
        reason: "the bank is closed",
        signal: stop.signal,
        onProgress(progress) {
          seen.push(progress);
          if (progress.moved >= 1_000) stop.abort();
        },
      });

      expect(some).toMatchObject({ moved: 1_000, skipped: 0, scanned: 1_000, cursor: expect.any(String) });
      expect(seen.map(({ moved, total }) => [moved, total])).toEqual([
        [500, 3_000],
        [1_000, 3_000],
      ]);
      expect(await t.counts()).toEqual({ archived: 1_000, retry: 2_000 });
      expect(await inspector.archive(selection, { cursor: some.cursor })).toMatchObject({
        moved: 2_000,
        cursor: undefined,
      });
      expect(await t.counts()).toEqual({ archived: 3_000 });
      expect((await inspector.require(t.queue, "t0")).failure).toMatchObject({
        reason: "manual",
        message: "by ann: the bank is closed",
      });
    },
    { timeoutMs: 30_000 },
  );

  it(
    "runs all that there was, though tasks fail back into it meanwhile",
    async (t) => {
      await inRetry(t, ids(0, 300));
      const inspector = inspectorOf(t);
      let returned = 0;
      // A worker between the batches: whatever is pending fails, and is due again before all the others.
      const failAll = async () => {
        for (const task of await t.leaseAll({ limit: 500 })) {
          await t.settle([settled.retry(task, t.at(1_000))]);
          returned += 1;
        }
      };

      let batches = 0;
      const between = new Proxy<InspectorBroker>(t.broker, {
        get(broker, name: keyof InspectorBroker) {
          if (name !== "move") return typeof broker[name] === "function" ? broker[name].bind(broker) : broker[name];
          return async (...given: Parameters<InspectorBroker["move"]>) => {
            const receipt = await broker.move(...given);
            batches += 1;
            await failAll();
            return receipt;
          };
        },
      });
      const done = await new Inspector(between).run({ queue: t.queue, state: "retry" }, { batch: 50 });

      expect(done).toMatchObject({ moved: 300, cursor: undefined });
      expect([batches, returned]).toEqual([6, 300]);
      const runs: number[] = [];
      for await (const { message } of inspector.tasks({ queue: t.queue, state: "retry" })) runs.push(message!.retried);
      expect(runs).toEqual(ids(0, 300).map(() => 2));
    },
    { timeoutMs: 30_000 },
  );

  for (const state of ["pending", "retry"] as const) {
    it(
      `finds the tasks of a type among those that are ${state}, acts on them alone, and says what it looked at`,
      async (t) => {
        const mixed = ids(0, 1_000).map((id, n) => t.task(id, { type: n % 10 === 9 ? "rare" : "common" }));
        await t.enqueue(mixed);
        if (state === "retry") {
          const leased = await t.leaseAll({ limit: 500 });
          await t.settle(leased.map((task, n) => settled.retry(task, t.at(3_600_000 + n * 1_000))));
        }
        const inspector = inspectorOf(t);
        const selection = { queue: t.queue, state, type: "rare" };
        const rare = mixed.filter(({ message }) => message.type === "rare").map(({ message }) => message.id);

        const first = await inspector.list(selection, { limit: 30 });
        expect(first.items.map(({ id }) => id)).toEqual(rare.slice(0, 30));
        const second = await inspector.list(selection, { limit: 70, cursor: first.next });
        expect(second.items.map(({ id }) => id)).toEqual(rare.slice(30));
        const iterated: string[] = [];
        for await (const { id } of inspector.tasks(selection)) iterated.push(id);
        expect(iterated).toEqual(rare);

        expect(await inspector.delete(selection)).toEqual({
          moved: 100,
          skipped: 0,
          scanned: 1_000,
          cursor: undefined,
        });
        expect(await t.counts()).toEqual({ [state]: 900 });
      },
      { timeoutMs: 30_000 },
    );
  }

  it("answers for each id, leaves what is active to its worker, and lets a dead letter run", async (t) => {
    await t.enqueue(["dead", "held", "waiting"]);
    const inspector = inspectorOf(t);
    await t.leaseOne();
    await t.settle([settled.archived((await t.reclaim(31_000), await t.leaseOne({}, 31_000)))], 31_000);
    await t.leaseOne({}, 31_000);

    const receipts = async (verb: "run" | "archive" | "delete") =>
      (await inspector[verb]({ queue: t.queue, ids: ["dead", "held", "nobody"] })).receipts.map(({ status }) => status);
    expect(await receipts("run")).toEqual(["moved", "wrongState", "notFound"]);
    expect(await t.stateOf("dead")).toBe("pending");
    expect(await receipts("delete")).toEqual(["moved", "wrongState", "notFound"]);
    expect(await t.counts()).toEqual({ active: 1, pending: 1 });
  });

  it("pauses and drops queues, or says what is in the way", async (t) => {
    await t.enqueue(ids(0, 700));
    const inspector = inspectorOf(t);
    const codeOf = (work: Promise<unknown>) => work.then(String, (error: HoldfastError) => error.code);

    expect(await codeOf(inspector.drop(`${t.queue}-x`))).toBe("QUEUE_NOT_FOUND");
    expect(await codeOf(inspector.pause(`${t.queue}-x`))).toBe("QUEUE_NOT_FOUND");
    expect(await codeOf(inspector.drop(t.queue))).toBe("QUEUE_NOT_EMPTY");
    const held = await t.leaseOne();
    expect(await codeOf(inspector.drop(t.queue, { force: true }))).toBe("TASK_ACTIVE");
    await t.settle([settled.completed(held)]);

    expect(await inspector.pause(t.queue, { reason: "moving house" })).toEqual({ changed: true });
    expect((await inspector.queue(t.queue)).pause).toMatchObject({ actor: "ann", reason: "moving house" });
    expect(await inspector.pause(t.queue)).toEqual({ changed: false });
    expect(await inspector.resume(t.queue)).toEqual({ changed: true });
    expect(await inspector.drop(t.queue, { force: true })).toEqual({ dropped: true });
    expect(await codeOf(inspector.queue(t.queue))).toBe("QUEUE_NOT_FOUND");
  });

  it("tells of queues, their days and memory, of workers and of storage", async (t) => {
    await t.enqueue(["done", "held"]);
    await t.settle([settled.completed(await t.leaseOne())]);
    await t.leaseOne();
    const inspector = inspectorOf(t);

    expect((await inspector.queues()).find(({ name }) => name === t.queue)?.counts).toMatchObject({ active: 1 });
    const [here, nowhere] = await inspector.memory([t.queue, `${t.queue}-x`]);
    expect([here! > 0, nowhere]).toEqual([true, 0]);
    expect(await inspector.history(t.queue)).toHaveLength(10);
    expect(await inspector.groups(t.queue)).toEqual([]);
    expect((await inspector.storage()).nodes.length).toBeGreaterThan(0);
    const worker = new Worker(t.broker, { queues: { [t.queue]: 1 } });
    await worker.start();
    const seen = await until("the worker is seen", async () =>
      (await inspector.workers()).find(({ id }) => id === worker.id),
    );
    expect(seen.queues).toEqual({ [t.queue]: 1 });
    await worker.stop();

    const { receipts } = await inspector.cancel({ queue: t.queue, ids: ["held", "nobody"] }, { retry: false });
    expect(receipts).toEqual([
      { id: "held", status: "requested" },
      { id: "nobody", status: "notFound" },
    ]);
    for (const work of [inspector.history(`${t.queue}-x`), inspector.groups(`${t.queue}-x`)])
      await expect(work).rejects.toMatchObject({ code: "QUEUE_NOT_FOUND" });
  });

  it("changes the payload that a waiting task's handler gets", async (t) => {
    const greet = defineTask<{ name: string }>("greet", { queue: t.queue, retry: fixed("1s") });
    const { id } = await new Client(t.broker).enqueue(greet({ name: "Ann" }));
    const inspector = inspectorOf(t);

    expect(await inspector.updatePayload(t.queue, id, { name: "Bob" })).toEqual({ status: "updated" });
    const greeted: string[] = [];
    await new Worker(t.broker, { queues: { [t.queue]: 1 } })
      .handle(greet, ({ name }) => void greeted.push(name))
      .drain();

    expect(greeted).toEqual(["Bob"]);
    expect(await inspector.updatePayload(t.queue, id, { name: "Eve" })).toEqual({ status: "notFound" });
    expect((await inspector.history(t.queue, 2)).map(({ processed }) => processed)).toEqual([1, 0]);
    const both = await inspector.history([`${t.queue}-x`, t.queue], 2);
    expect(both.map((days) => days.map(({ processed }) => processed))).toEqual([
      [0, 0],
      [1, 0],
    ]);
  });
});

describeRedis("an inspector whose storage dies in the middle", () => {
  test("says how far it came and why it stopped, and finishes when it is called again", async () => {
    await using server = await RedisServer.start({ config: { appendonly: "yes", appendfsync: "always" } });
    await using broker = redisBroker({ url: server.url, timeout: "500ms" });
    await broker.enqueue(
      ids(0, 2_000).map((id) => newTask({ id })),
      broker.clock.nowMs(),
    );
    const inspector = new Inspector(broker);
    const pending = { queue: "default", state: "pending" } as const;
    const underWay: Promise<void>[] = [];

    const error = await inspector
      .archive(pending, { onProgress: ({ moved }) => void (moved === 1_000 && underWay.push(server.kill())) })
      .catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({
      code: "BULK_INTERRUPTED",
      data: { queue: "default", to: "archived", moved: 1_000, skipped: 0, total: 2_000 },
      cause: { code: "BROKER_UNAVAILABLE" },
    });
    await Promise.all(underWay);
    await server.start();
    const { moved } = await inspector.archive(pending);
    // The batch that failed may have been carried out.
    expect([500, 1_000]).toContain(moved);
    expect((await inspector.queue("default")).counts).toMatchObject({ pending: 0, archived: 2_000 });
  });
});
