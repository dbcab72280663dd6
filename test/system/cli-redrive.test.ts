import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { Client, connect, defineTask, SkipRetry, Worker } from "../../src/index.js";
import { CliHost } from "../support/cli.js";
import { until } from "../support/until.js";

const mail = defineTask<{ n: number }>("email:welcome", { sideEffects: "idempotent" });

describe("holdfast dlq run and redrive", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-redrive-"));
  const url = `file:${join(folder, "tasks.db")}`;
  const broker = connect(url);
  const ran: number[] = [];
  let works = false;
  let cli: CliHost;
  const worker = new Worker(broker, { log: silent }).handle(mail, ({ n }) => {
    ran.push(n);
    if (!works) throw new SkipRetry("smtp is down");
  });
  const dead = async () => (await broker.queues(broker.clock.nowMs()))[0]!.counts.archived;
  const json = async (...args: string[]) => {
    const { stdout, stderr, status } = await cli.run("dlq", ...args, "--json", "--url", url);
    return { status, value: JSON.parse(stdout || stderr) };
  };

  beforeAll(async () => {
    cli = new CliHost();
    const client = new Client(broker);
    for (let n = 0; n < 12; n += 1) await client.enqueue(mail({ n }));
    await client.enqueue(mail({ n: 99 }, { sideEffects: "needs-human", id: "human" }));
    await worker.start();
    await until("all have died", async () => (await dead()) === 13);
  });
  afterAll(async () => {
    await worker.stop();
    await cli[Symbol.asyncDispose]();
    await broker.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("plans, tries the first, stops itself, and goes on to the end", async () => {
    const plan = await cli.run("dlq", "redrive", "plan", "--where", "queue:default", "--url", url);
    expect(plan.stdout).toContain("12 of 13 dead letters that were looked at would run again");
    expect(plan.stdout).toContain("1 for a human to decide on each (--needs-human)");

    const options = ["--where", "queue:default", "--canary", "2", "--ramp", "0s", "--rate", "1000"];
    const unasked = await cli.run("dlq", "redrive", "start", ...options, "--url", url);
    expect(unasked).toMatchObject({ status: 2, stderr: expect.stringContaining("Redrive these 12 dead letters?") });

    const start = await json("redrive", "start", ...options, "--yes", "--reason", "smtp is back");
    expect(start).toMatchObject({
      status: 4,
      value: { status: "braked", phase: "canary", counts: { left: 10, failedSame: 2 }, skipped: { needsHuman: 1 } },
    });
    const { id } = start.value;

    works = true;
    const resumed = await cli.run("dlq", "redrive", "resume", id, "--url", url);
    expect(resumed.stdout).toMatch(/state +done/);
    expect(resumed.stdout).toContain(`holdfast dlq redrive status ${id} --tasks`);
    const list = await cli.run("dlq", "redrive", "status", "--url", url);
    expect(list.stdout).toMatch(new RegExp(`${id} +done +0 +10 +2 `));
    const tasks = await cli.run("dlq", "redrive", "status", id, "--tasks", "--url", url);
    expect(tasks.stdout.match(/^succeeded /gm)).toHaveLength(10);
    expect(tasks.stdout.match(/^failedSame .* smtp is down$/gm)).toHaveLength(2);
    expect(await json("redrive", "cancel", id)).toMatchObject({
      status: 4,
      value: { error: { code: "REDRIVE_ENDED" } },
    });
    expect(await json("redrive", "pause", "nobody")).toMatchObject({ status: 3 });
  });

  it("runs those of a search, and one by itself whatever is said against it", async () => {
    expect(await json("run", "--where", "queue:default", "--yes")).toMatchObject({
      status: 0,
      value: { moved: 2, ineligible: { needsHuman: 1 }, all: true },
    });
    expect(await json("run", "default", "human")).toMatchObject({ status: 0, value: { moved: 1 } });
    expect(await json("run", "default", "nobody")).toMatchObject({ status: 3, value: { ineligible: { notFound: 1 } } });
    await until("all have run", () => ran.includes(99) && ran.length === 13 + 2 + 10 + 2 + 1);
  });
});
