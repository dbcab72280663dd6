import { type ChildProcess, fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { Client, connect, defineTask, Worker } from "../../src/index.js";
import { type Database, loadDriver } from "../../src/embedded/driver.js";
import { connectPostgres } from "../support/postgres-client.mjs";
import { describePostgres, PostgresServer } from "../support/postgres.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const examples = join(import.meta.dirname, "../../examples/outbox");
const load = async (file: string) => import(pathToFileURL(join(examples, file)).href);
const ship = defineTask<{ order: number }>("ship");
const kills = 8;

/** A database with orders and their outbox. */
interface Shop extends AsyncDisposable {
  /** What a relay process is told to open. */
  readonly place: string;
  /** In one transaction, which is rolled back when it is not to be kept. Answers the task's id. */
  order(number: number, keep: boolean): Promise<string>;
  left(): Promise<number>;
}

async function sqliteShop(folder: string): Promise<Shop> {
  const { sqliteOutbox, table } = await load("sqlite-outbox.mjs");
  const place = join(folder, "shop.db");
  const database: Database = (await loadDriver())(place);
  database.exec(
    `PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 5000; CREATE TABLE orders (number INTEGER); ${table}`,
  );
  const outbox = sqliteOutbox(database);
  return {
    place,
    async order(number, keep) {
      database.exec("BEGIN IMMEDIATE");
      database.prepare("INSERT INTO orders VALUES (?)").run(number);
      const id = outbox.add("ship", { order: number });
      database.exec(keep ? "COMMIT" : "ROLLBACK");
      return id;
    },
    left: async () => (database.prepare("SELECT count(*) AS n FROM outbox").get() as { n: number }).n,
    [Symbol.asyncDispose]: async () => database.close(),
  };
}

async function postgresShop(): Promise<Shop> {
  const { postgresOutbox, table } = await load("postgres-outbox.mjs");
  const server = await PostgresServer.start();
  const client = await connectPostgres(server.port);
  await client.query("CREATE TABLE orders (number INTEGER)");
  await client.query(table);
  const outbox = postgresOutbox(client);
  return {
    place: String(server.port),
    async order(number, keep) {
      await client.query("BEGIN");
      await client.query("INSERT INTO orders VALUES ($1)", [number]);
      const id = await outbox.add(client, "ship", { order: number });
      await client.query(keep ? "COMMIT" : "ROLLBACK");
      return id;
    },
    left: async () => Number((await client.query("SELECT count(*) AS n FROM outbox")).rows[0]!["n"]),
    async [Symbol.asyncDispose]() {
      client.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "holdfast-outbox-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Orders come in while the relay is killed again and again, most often between the enqueue and the removal of its rows. */
async function siege(database: "sqlite" | "postgres", shop: Shop, url: string): Promise<Siege> {
  await using broker = connect(url);
  const runs: string[] = [];
  const worker = new Worker(broker, { log: silent }).handle(ship, (_payload, { id }) => void runs.push(id));
  await worker.start();
  const kept: string[] = [];
  let number = 0;
  const orders = async (count: number) => {
    for (let n = 0; n < count; n += 1) {
      number += 1;
      const keep = number % 5 !== 0;
      // oxlint-disable-next-line no-await-in-loop -- one transaction after the other
      const id = await shop.order(number, keep);
      if (keep) kept.push(id);
    }
  };
  const start = (): ChildProcess =>
    fork(join(import.meta.dirname, "outbox-relay.mjs"), [database, shop.place, url], { stdio: "inherit" });

  for (let kill = 0; kill < kills; kill += 1) {
    const relay = start();
    const exited = once(relay, "exit");
    await orders(20);
    await once(relay, "message");
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 12));
    relay.kill("SIGKILL");
    await exited;
  }
  const last = start();
  const exited = once(last, "exit");
  await until("the outbox is empty", async () => (await shop.left()) === 0, 20_000);
  await until("every order is shipped", () => runs.length >= kept.length, 20_000);
  last.kill("SIGKILL");
  await exited;
  await worker.stop();

  const sorted = (ids: readonly string[]) => ids.toSorted((a, b) => (a < b ? -1 : 1));
  return { runs: sorted(runs), kept: sorted(kept) };
}

/** Ids of tasks that ran, once for each run, and of those that were committed. */
interface Siege {
  readonly runs: readonly string[];
  readonly kept: readonly string[];
}

describeRedis("an outbox on SQLite, and tasks on Redis", () => {
  it(`makes one task of each row that was committed, through ${kills} kills of the relay`, async () => {
    await using server = await RedisServer.start();
    await using shop = await sqliteShop(folder);
    const { runs, kept } = await siege("sqlite", shop, server.url);

    expect(runs).toEqual(kept);
  }, 90_000);
});

describePostgres("an outbox on PostgreSQL, and tasks in a file", () => {
  it(`makes one task of each row that was committed, through ${kills} kills of the relay`, async () => {
    await using shop = await postgresShop();
    const { runs, kept } = await siege("postgres", shop, `file:${join(folder, "tasks.db")}`);

    expect(runs).toEqual(kept);
  }, 90_000);
});

describe("the outbox of the examples", () => {
  it("runs as a program", () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(examples, "shop.mjs")], {
      encoding: "utf8",
      timeout: 30_000,
    });

    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout.split("\n")).toEqual([
      "order 2 was not taken: UNIQUE constraint failed: orders.id",
      "order 1 is shipped: kettle",
      "order 2 is shipped: lamp",
      "",
    ]);
  });

  it("sets a row aside that cannot become a task, and brings the others in order", async () => {
    const { relayOnce } = await load("outbox.mjs");
    const { sqliteOutbox, table } = await load("sqlite-outbox.mjs");
    const database = (await loadDriver())(":memory:");
    database.exec(table);
    const outbox = sqliteOutbox(database);
    await using broker = connect("memory:");
    const ids = ["1", "2", "3", "4"].map((order) => outbox.add(order === "2" ? "unheard-of" : "ship", { order }));
    database.prepare("UPDATE outbox SET payload = '{' WHERE id = ?").run(ids[2]!);

    expect(await relayOnce(outbox, new Client(broker), [ship])).toBe(4);
    expect(await relayOnce(outbox, new Client(broker), [ship])).toBe(0);

    const { items } = await broker.list({ queue: "default", state: "pending" }, { limit: 10 });
    expect(items.map(({ id }) => id)).toEqual([ids[0], ids[3]]);
    const aside = database.prepare("SELECT id FROM outbox WHERE problem IS NOT NULL ORDER BY sequence").all();
    expect(aside.map((row) => (row as { id: string }).id)).toEqual([ids[1], ids[2]]);
    database.close();
  });
});
