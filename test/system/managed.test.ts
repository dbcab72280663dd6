import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Client, connect, type ConnectOptions, defineTask, HoldfastError, Worker } from "../../src/index.js";
import { recipe } from "../support/recipes.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { RespStub } from "../support/resp-stub.js";
import { until } from "../support/until.js";

const job = defineTask("job");

describeRedis("a rented Redis", () => {
  let spool: string;
  const warnings: string[] = [];
  const warn = (_: object, sentence: string) => void warnings.push(sentence);
  const log = { debug() {}, info() {}, warn, error: warn };
  beforeEach(() => {
    spool = mkdtempSync(join(tmpdir(), "holdfast-managed-"));
    warnings.length = 0;
  });
  afterEach(() => rmSync(spool, { recursive: true, force: true }));

  async function worksAt(url: string, options: ConnectOptions = {}): Promise<void> {
    await using broker = connect(url, { log, ...options });
    const client = new Client(broker);
    const worker = new Worker(broker, { log }).handle(job, () => undefined);
    await worker.start();
    await client.enqueueAll([job(), job(undefined, { unique: "1m" })]);
    await until("all have run", () => worker.counters().completed === 2, 20_000);
    await worker.stop();
  }
  const refused = async (url: string, options: ConnectOptions, how: object) => {
    await using broker = connect(url, { log, ...options });
    const call = () =>
      new Client(broker).enqueue(job(), how).then(
        () => undefined,
        (error: unknown) => error,
      );
    // Until a look has told that it can never be told, it may be unavailable.
    return await until("it is refused for good", async () => {
      const error = await call();
      return HoldfastError.is(error, "BROKER_INCOMPATIBLE") ? error : undefined;
    });
  };

  it("without CONFIG, ACL and the like: all works, the spool too, where INFO tells that it has an append-only file", async () => {
    await using server = await RedisServer.start({ config: recipe("Managed Redis", "without CONFIG") });

    await worksAt(server.url, { spool });
    await using broker = connect(server.url, { log, spool: { directory: spool, trustAfter: "1s" } });
    expect(await new Client(broker).enqueue(job(), { accept: "spool" })).toMatchObject({ status: "spooled" });
    await until("it has been released", async () => (await broker.spool!.stats()).tasks === 0);
  });

  it("without INFO and CLIENT either: clients and workers work, and what cannot be kept is refused with the reason", async () => {
    await using server = await RedisServer.start({ config: recipe("Managed Redis", "without INFO") });

    await worksAt(server.url);
    expect(await refused(server.url, { spool }, { accept: "spool" })).toMatchObject({
      code: "BROKER_INCOMPATIBLE",
      message: expect.stringContaining("INFO"),
    });
    expect(await refused(server.url, {}, { accept: "fsync" })).toMatchObject({ code: "BROKER_INCOMPATIBLE" });
    expect(warnings.join("\n")).toMatch(/INFO is not allowed[^]*without this right of the Redis user/);
  });

  it.each([
    ["zeros", (text: string) => text.replace(/^(run_id:).*$/m, `$1${"0".repeat(40)}`)],
    ["nothing", (text: string) => text.replace(/^run_id:.*\r\n/m, "")],
  ])("whose INFO has %s for its run_id: the spool is refused, the rest works", async (_, hide) => {
    await using server = await RedisServer.start();
    await using stub = await RespStub.before(server.port, async (name, args) =>
      name === "INFO" ? hide((await server.admin.call("INFO", ...args)) as string) : undefined,
    );
    await using broker = connect(stub.url, { log });

    expect(await new Client(broker).enqueue(job())).toMatchObject({ status: "enqueued" });
    expect(await refused(stub.url, { spool }, { accept: "spool" })).toMatchObject({
      code: "BROKER_INCOMPATIBLE",
      message: expect.stringContaining("its INFO hides run_id"),
    });
  });
});
