import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { Client, connect, defineTask, Worker } from "../../src/index.js";
import { FaultProxy } from "../support/fault-proxy.js";
import { recipe } from "../support/recipes.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const job = defineTask("job");

describeRedis("a replica", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-standby-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  /** A server, its replica over a line that can be cut, and the name by which clients know the one that serves. */
  async function pair(heading: string) {
    const primary = await RedisServer.start({ config: recipe(heading, "redis.conf") });
    const line = await FaultProxy.to(primary.port);
    const standby = await RedisServer.start({
      config: { ...recipe(heading, "redis.conf"), replicaof: `127.0.0.1 ${line.port}` },
    });
    const name = await FaultProxy.to(primary.port);
    await until("it follows", async () => (await standby.admin.info()).includes("master_link_status:up"));
    const stop = () => Promise.all([name.refuse(), line.refuse(), primary.stop(), standby.stop()]);
    return { primary, standby, line, name, [Symbol.asyncDispose]: () => stop().then(() => undefined) };
  }

  /** Enqueues without a pause, and works on it, until told to stop; then everything accepted has run. */
  function traffic(url: string) {
    const broker = connect(url, { log: silent });
    const client = new Client(broker, { timeout: "30s" });
    const worker = new Worker(broker, { pollInterval: "100ms", log: silent });
    const accepted: string[] = [];
    const runs: string[] = [];
    worker.handle(job, (_, { id }) => void runs.push(id));
    let over = false;
    const go = async () => {
      await worker.start();
      while (!over) accepted.push((await client.enqueue(job())).id);
    };
    const going = go();
    const more = async () => {
      const before = runs.length;
      await until("tasks run", () => runs.length > before + 50, 20_000);
    };
    const stop = async () => {
      over = true;
      await going;
      await until("all have run", () => runs.length >= accepted.length, 20_000);
      await worker.stop();
      await broker.close();
    };
    return { accepted, runs, more, stop };
  }

  it("that is promoted by hand takes over from a master that is well, and nothing is lost or runs twice", async () => {
    await using all = await pair("A replica is promoted by hand");
    const { primary, standby, name } = all;
    const flow = traffic(name.url);
    await flow.more();

    await primary.admin.call("CLIENT", "PAUSE", 60_000, "WRITE");
    await until("the replica has everything", async () => {
      const info = await primary.admin.info("replication");
      return /offset=(\d+)/.exec(info)?.[1] === /master_repl_offset:(\d+)/.exec(info)?.[1];
    });
    await standby.admin.replicaof("NO", "ONE");
    await primary.admin.replicaof("127.0.0.1", standby.port);
    await primary.admin.call("CLIENT", "UNPAUSE");
    name.lead(standby.port);
    await flow.more();

    await flow.stop();
    expect(flow.runs.toSorted()).toEqual(flow.accepted.toSorted());
    expect((await standby.admin.role())[0]).toBe("master");
  });

  it("elsewhere, that lacks the last tasks when its master is gone, is given them by the spool", async () => {
    await using all = await pair("A warm standby elsewhere");
    const { primary, standby, line, name } = all;
    await using broker = connect(name.url, { log: silent, spool: directory });
    const client = new Client(broker, { accept: "spool" });
    const accept = async () => {
      const receipts = await client.enqueueAll(Array.from({ length: 20 }, () => job()));
      return receipts.map(({ id }) => id);
    };
    const waiting = ({ admin }: RedisServer) => admin.llen("asynq:{default}:pending");

    const accepted = await accept();
    await until("both have them", async () => (await waiting(standby)) === 20);
    line.set({ kind: "hold" });
    accepted.push(...(await accept()));
    await until("one has them", async () => (await waiting(primary)) === 40);
    await primary.kill();
    accepted.push(...(await accept()));
    await standby.admin.replicaof("NO", "ONE");
    expect(await waiting(standby)).toBe(20);
    name.lead(standby.port);

    const runs: string[] = [];
    const worker = new Worker(broker, { pollInterval: "100ms", log: silent });
    await worker.handle(job, (_, { id }) => void runs.push(id)).start();
    await until("all have run", () => runs.length >= 60, 20_000);
    await worker.stop();
    expect(runs.toSorted()).toEqual(accepted.toSorted());
  });
});
