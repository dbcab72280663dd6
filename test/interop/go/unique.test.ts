import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Client, connect, defineTask, rawBytes, Worker } from "../../../src/index.js";
import { until } from "../../support/until.js";
import { buildTimeoutMs, describeGo } from "./programs.js";
import { ours, Site } from "./site.js";
import type { GoTask } from "./witness.js";

const clients = 3;
const uniqueMs = 3_600_000;

describeGo("unique tasks of Go and of TypeScript", () => {
  let site: Site;

  beforeAll(async () => {
    site = await Site.open();
  }, buildTimeoutMs);
  afterAll(() => site.close());
  beforeEach(async () => {
    await site.server.admin.flushall();
  });

  const locks = async () => (await site.server.admin.keys("asynq:{default}:unique:*")).toSorted();

  it("one of all who enqueue it at the same time gets it in, a thousand times", async () => {
    const brokers = Array.from({ length: clients }, () => connect(site.server.url));
    const here = brokers.map((broker) => new Client(broker));
    const won = { Go: 0, TypeScript: 0 };
    const payloads = [
      undefined,
      Buffer.alloc(0),
      Buffer.from('{"user":42,"tags":["ü"]}'),
      Buffer.from([0, 255, 128, 10]),
    ];

    for (let round = 0; round < 1_000; round++) {
      const payload = payloads[round % payloads.length];
      const task = { type: `round:${round}`, uniqueMs, ...(payload === undefined ? {} : { payload }) };
      const [receipts, inGo] = await Promise.all([
        Promise.all(here.map((client) => client.enqueue(ours(task)))),
        site.go.race(...Array.from({ length: clients }, () => task)),
      ]);

      const taken = receipts.filter(({ status }) => status === "enqueued");
      const takenInGo = inGo.filter((receipt) => "id" in receipt);
      expect([round, taken.length + takenInGo.length]).toEqual([round, 1]);
      const winner = [...taken, ...takenInGo][0]!.id;
      for (const receipt of receipts.filter(({ status }) => status !== "enqueued"))
        expect(receipt).toEqual({ status: "duplicate", id: winner });
      for (const receipt of inGo.filter((one) => "error" in one))
        expect(receipt).toEqual({ error: "task already exists" });
      won.Go += takenInGo.length;
      won.TypeScript += taken.length;
    }

    // Else it was no race.
    expect(won.Go).toBeGreaterThan(20);
    expect(won.TypeScript).toBeGreaterThan(20);
    const keys = await locks();
    expect(keys.length).toBe(1_000);
    const ttls = await Promise.all(keys.slice(0, 50).map((key) => site.server.admin.ttl(key)));
    for (const ttl of ttls) expect(Math.abs(ttl - uniqueMs / 1_000)).toBeLessThan(60);
    await Promise.all(brokers.map((broker) => broker.close()));
  }, 60_000);

  const tasks: [string, GoTask][] = [
    ["no payload", { id: "a", type: "u", uniqueMs }],
    ["an empty payload", { id: "a", type: "u", uniqueMs, payload: new Uint8Array(0) }],
    ["JSON", { id: "a", type: "u", uniqueMs, payload: Buffer.from('{"a":[1,2]}') }],
    ["bytes", { id: "a", type: "u", uniqueMs, payload: Uint8Array.from({ length: 256 }, (_, n) => n) }],
    ["a delay", { id: "a", type: "u", uniqueMs, processInMs: 1_000 }],
    ["retention", { id: "a", type: "u", uniqueMs, retentionMs: 60_000 }],
  ];

  describe.each(tasks)("with %s", (_name, task) => {
    it("has one lock, for as long, whoever sets it", async () => {
      await site.go.enqueue(task);
      const [key, ...others] = await locks();
      const ttlOfGo = await site.server.admin.ttl(key!);
      expect(await new Client(site.broker).enqueue(ours({ ...task, id: "b" }))).toEqual({
        status: "duplicate",
        id: "a",
      });
      await site.server.admin.flushall();

      await new Client(site.broker).enqueue(ours(task));

      expect([await locks(), others]).toEqual([[key], []]);
      expect(Math.abs((await site.server.admin.ttl(key!)) - ttlOfGo)).toBeLessThanOrEqual(1);
      expect(await site.go.enqueue({ ...task, id: "b" })).toEqual([{ error: "task already exists" }]);
    });

    it("has its lock taken away by the other's worker when it is done", async () => {
      await site.go.enqueue(task);
      const worker = new Worker(site.broker, { pollInterval: "20ms" });
      worker.handle(defineTask<Uint8Array>("u", { codec: rawBytes }), () => undefined);
      await worker.start();
      await until("no lock is left", async () => (await locks()).length === 0, 10_000);
      await worker.stop();
      expect(worker.counters()).toMatchObject({ completed: 1 });
      await site.server.admin.flushall();

      await new Client(site.broker).enqueue(ours(task));
      expect((await locks()).length).toBe(1);
      await site.go.serve();
      await until("no lock is left", async () => (await locks()).length === 0, 10_000);
      await site.go.stop();
      expect(site.go.warnings).toEqual([]);
    }, 20_000);
  });
});
