import { afterAll, beforeAll, expect, it } from "vitest";
import { silent } from "../../../src/core/log.js";
import { Client, defineTask, Worker } from "../../../src/index.js";
import { until } from "../../support/until.js";
import { buildTimeoutMs, describeGo } from "./programs.js";
import { Site } from "./site.js";
import { Witness } from "./witness.js";

describeGo("a message that nobody can read, held by a worker that died", () => {
  let site: Site;
  beforeAll(async () => {
    site = await Site.open();
  }, buildTimeoutMs);
  afterAll(() => site.close());

  const task = defineTask("t");
  const queues = { bad: 1, good: 1 };
  const leftBehind = async (queue: string, id: string) => {
    const { admin } = site.server;
    await new Client(site.broker).enqueue(task(undefined, { queue, id, maxRetry: 5 }));
    await admin.rpoplpush(`asynq:{${queue}}:pending`, `asynq:{${queue}}:active`);
    await admin.zadd(`asynq:{${queue}}:lease`, Math.floor(Date.now() / 1_000) - 90, id);
    await admin.hset(`asynq:{${queue}}:t:${id}`, "state", "active");
    await admin.hdel(`asynq:{${queue}}:t:${id}`, "pending_since");
  };

  it("keeps Go from recovering any queue; one worker of ours sets it aside with its bytes, and Go goes on", async () => {
    await leftBehind("bad", "poison");
    await leftBehind("good", "fine");
    await site.server.admin.hset("asynq:{bad}:t:poison", "msg", Buffer.from("0aff", "hex"));
    await site.go.serve({ queues });
    await until("Go's recoverer gives up", () =>
      site.go.warnings.some((line) => line.includes("could not list lease")),
    );
    expect(await site.server.admin.llen("asynq:{good}:active")).toBe(1);
    await site.go.stop();

    const ran: string[] = [];
    const worker = new Worker(site.broker, { queues, leaseDuration: "5s", pollInterval: "20ms", log: silent });
    worker.handle(task, (_payload, { id }) => void ran.push(id));
    await worker.start();
    await until("the good one has run", () => ran.includes("fine"), 10_000);
    const poison = async () => (await site.inspector.find("bad", "poison"))!;
    await until("the bad one is a dead letter", async () => (await poison()).state === "archived", 10_000);
    await worker.stop();

    expect(await poison()).toMatchObject({ message: undefined, failure: { reason: "decode_error" } });
    expect(Buffer.from((await poison()).bytes).toString("hex")).toMatch(/^0aff/);
    expect(await site.server.admin.exists("asynq:{bad}:active", "asynq:{bad}:lease", "asynq:{good}:active")).toBe(0);
    await leftBehind("good", "again");
    const other = await Witness.start(site.server);
    await other.serve({ queues, retryDelayMs: 0 });
    await other.ended("again");
    expect(await other.inspect("list", { queue: "bad", state: "archived" })).toEqual([]);
    expect(other.warnings).toEqual([]);
    await other.kill();
  }, 40_000);
});
