import { randomFillSync } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newTask, settled } from "../../test/support/builders.js";
import { until } from "../../test/support/until.js";
import type { HoldfastError } from "../core/errors.js";
import type { TaskInfo } from "../core/info.js";
import { type Driver, loadDriver } from "./driver.js";
import { EmbeddedStore } from "./embedded-store.js";
import { embeddedBroker } from "./index.js";
import { pack } from "./packed.js";
import { taskTables } from "./schema.js";

const nowMs = 1_800_000_000_000;
const label = "file:tasks.db";

let sqlite: Driver;
let folder: string;
let file: string;

beforeEach(async () => {
  sqlite = await loadDriver();
  folder = mkdtempSync(join(tmpdir(), "holdfast-file-"));
  file = join(folder, "tasks.db");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The error of a broker on `path`, which has let go of the file again. */
async function refusal(path = file): Promise<HoldfastError> {
  await using broker = embeddedBroker({ file: path });
  return await broker.ping().then(
    () => expect.fail("it was not refused"),
    (error: HoldfastError) => error,
  );
}

/** A file with 500 tasks, in which nothing is under way: its thread has ended. */
async function fill(): Promise<void> {
  await using broker = embeddedBroker({ file });
  const payload = new Uint8Array(300);
  await broker.enqueue(
    Array.from({ length: 500 }, (_, index) => newTask({ queue: "q", id: `id-${index}`, payload })),
    nowMs,
  );
}

/** Tables with their columns, and indexes, as SQLite knows them. */
function schemaIn(path: string): unknown[] {
  const database = sqlite(path);
  const rows = database
    .prepare(
      "SELECT m.type, m.name, c.name AS column_name, c.type AS column_type, c.dflt_value FROM sqlite_master m LEFT JOIN pragma_table_info(m.name) c ORDER BY m.name, c.cid",
    )
    .all();
  database.close();
  return rows;
}

describe("database file", () => {
  it("is for its owner's eyes only, the files beside it too", () => {
    const store = new EmbeddedStore(sqlite, file, label);
    store.run([{ verb: "ping", args: {} }]);

    const modes = readdirSync(folder).map((name) => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)]);
    store.close();

    expect(Object.fromEntries(modes)).toEqual({ "tasks.db": "600", "tasks.db-shm": "600", "tasks.db-wal": "600" });
  });

  it("waits for the disk at every commit", () => {
    let synchronous: unknown;
    const store = new EmbeddedStore(
      (location) => {
        const database = sqlite(location);
        return {
          exec(sql) {
            database.exec(sql);
            synchronous = Object.values(database.prepare("PRAGMA synchronous").get() as object)[0];
          },
          prepare: (sql) => database.prepare(sql),
          close: () => database.close(),
        };
      },
      file,
      label,
    );

    store.run([{ verb: "ping", args: {} }]);
    store.close();

    expect(synchronous).toBe(2);
  });

  const damages: Record<string, (bytes: Buffer) => Buffer | void> = {
    "a header of garbage": (bytes) => void bytes.fill(0x41, 0, 100),
    "one wrong byte in its first sixteen": (bytes) => void bytes.writeUInt8(bytes[3]! ^ 0xff, 3),
    "garbage where the tables are listed": (bytes) => void randomFillSync(bytes, 100, 3_996),
    "pages of garbage in the middle": (bytes) => void randomFillSync(bytes, 20 * 4_096, 5 * 4_096),
    "its second half missing": (bytes) => bytes.subarray(0, bytes.length >> 1),
    "nothing left but a part of its first page": (bytes) => bytes.subarray(0, 50),
    "zeros only": (bytes) => Buffer.alloc(bytes.length),
    "text in it": () => Buffer.from("These are my notes, and no database.\n".repeat(200)),
  };

  it.each(Object.entries(damages))("with %s is refused by name, and left as it is", async (_, damage) => {
    await fill();
    const bytes = readFileSync(file);
    const damaged = damage(bytes) ?? bytes;
    writeFileSync(file, damaged);

    const { code, message } = await refusal();

    expect(code).toBe("BROKER_FAILED");
    expect(message).toMatch(/^file:.*tasks\.db failed: the file is damaged.*backup/);
    expect(readFileSync(file).equals(damaged)).toBe(true);
    expect(readdirSync(folder)).toEqual(["tasks.db"]);
  });

  it("is used again as soon as it has been put back", async () => {
    await fill();
    const good = readFileSync(file);
    writeFileSync(file, "no database, for the moment".repeat(100));
    await using broker = embeddedBroker({ file });
    await expect(broker.ping()).rejects.toMatchObject({ code: "BROKER_FAILED" });

    writeFileSync(file, good);

    const queues = await until("the file is looked at again", () => broker.queues(nowMs));
    expect(queues).toMatchObject([{ name: "q", counts: { pending: 500 } }]);
  });

  it("that another process makes at the same moment is not taken for a foreign one", () => {
    const other = sqlite(file);
    other.exec("PRAGMA journal_mode = WAL");
    const store = new EmbeddedStore(
      (location) => {
        const database = sqlite(location);
        return {
          exec: (sql) => database.exec(sql),
          close: () => database.close(),
          prepare(sql) {
            const statement = database.prepare(sql);
            if (sql !== "PRAGMA user_version") return statement;
            const get = () => {
              const row = statement.get();
              // What the other one's transaction does, as soon as we have looked at half of it.
              try {
                other.exec(`PRAGMA application_id = 0x48665374; PRAGMA user_version = ${taskTables.steps.length}`);
              } catch {
                // It has to wait until we have seen the whole.
              }
              return row;
            };
            return { get, run: (...values) => statement.run(...values), all: (...values) => statement.all(...values) };
          },
        };
      },
      file,
      label,
    );

    const [answer] = store.run([{ verb: "ping", args: {} }]);
    store.close();
    other.close();

    expect(answer).toEqual({ value: undefined });
  });

  it("of a later version is refused, and left as it is", async () => {
    await fill();
    const database = sqlite(file);
    database.exec(`PRAGMA user_version = ${taskTables.steps.length + 1}`);
    database.close();
    const bytes = readFileSync(file);

    expect(await refusal()).toMatchObject({
      code: "BROKER_INCOMPATIBLE",
      message: expect.stringContaining(`version ${taskTables.steps.length + 1}`),
    });
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  it("of an earlier version is brought up to date, and keeps its tasks and their locks", async () => {
    const database = sqlite(file);
    database.exec(readFileSync(new URL("../../test/support/files/embedded-schema-1.sql", import.meta.url), "utf8"));
    database.close();
    const fresh = join(folder, "fresh.db");
    for (const path of [file, fresh]) {
      await using broker = embeddedBroker({ file: path });
      await broker.ping();
    }

    await using broker = embeddedBroker({ file });
    const [queue] = await broker.queues(nowMs);
    expect(queue).toMatchObject({
      name: "old",
      paused: false,
      pause: undefined,
      processed: 3,
      failed: 2,
      counts: { pending: 2, active: 1, scheduled: 1, retry: 1, archived: 1, completed: 1 },
    });
    for (const state of ["pending", "active", "scheduled", "retry", "archived", "completed"] as const) {
      const { items } = await broker.list({ queue: "old", state }, { limit: 10 });
      expect(items[0]).toMatchObject({ id: state, message: { id: state, type: "test:plain" } });
    }
    const again = { uniqueKey: "asynq:{old}:unique:test:plain:x" };
    expect(await broker.enqueue([newTask({ id: "2", queue: "old", ...again }, { uniqueForMs: 1_000 })], nowMs)).toEqual(
      [{ status: "duplicate", id: "unique" }],
    );
    const held = { queue: "old", id: "active" };
    const by = { actor: "ops", reason: "", requestId: "r" };
    expect(await broker.cancel([held], "retry", by, nowMs)).toEqual(["requested"]);
    const [task] = (await broker.find([held])) as [TaskInfo];
    const lease = { ...held, token: "r", untilMs: 0 };
    const leased = { message: task.message!, lease, crashes: 0, returns: 0, atMostOnce: false };
    expect((await broker.exchange({ settle: [settled.completed(leased)] }, nowMs)).settled).toEqual(["settled"]);
    expect(schemaIn(file)).toEqual(schemaIn(fresh));
  });

  it("of another program is refused, and left as it is", async () => {
    const database = sqlite(file);
    database.exec("CREATE TABLE songs (name TEXT)");
    database.close();
    const bytes = readFileSync(file);

    expect(await refusal()).toMatchObject({
      code: "BROKER_INCOMPATIBLE",
      message: expect.stringContaining("another program"),
    });
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  it("without its folder cannot be opened, and can as soon as the folder is there", async () => {
    await using broker = embeddedBroker({ file: join(folder, "deeper", "tasks.db") });
    await expect(broker.ping()).rejects.toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { outcome: "notSent", problem: expect.stringContaining("create it") },
    });

    mkdirSync(join(folder, "deeper"));

    await until("the folder is looked at again", async () => (await broker.queues(nowMs)).length === 0);
  });

  it("that is a folder, or lies in what is none, is refused", async () => {
    await fill();

    const refused = { code: "BROKER_UNAVAILABLE", data: { outcome: "notSent" } };
    expect(await refusal(folder)).toMatchObject(refused);
    expect(await refusal(join(file, "tasks.db"))).toMatchObject(refused);
  });

  it("on a full disk refuses what does not fit, and takes what fits afterwards", () => {
    let limited: ReturnType<Driver> | undefined;
    const store = new EmbeddedStore((location) => (limited = sqlite(location)), file, label);
    store.run([{ verb: "ping", args: {} }]);
    limited!.exec("PRAGMA max_page_count = 20");
    const row = { queue: "q", processAtMs: 0, uniqueKey: "", uniqueForMs: 0, atMostOnce: false, repeat: false };
    const put = (id: string, bytes: number) =>
      store.run([
        { verb: "enqueue", args: { rows: [{ ...row, id }], messages: pack([new Uint8Array(bytes)]), nowMs } },
      ])[0];

    const large = put("large", 200_000);
    const small = put("small", 200);
    store.close();

    expect(large).toMatchObject({ error: { code: "BROKER_UNAVAILABLE", data: { outcome: "refused" } } });
    expect(small).toMatchObject({ value: [{ status: "enqueued" }] });
  });
});
