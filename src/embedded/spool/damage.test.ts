import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { newTask } from "../../../test/support/builders.js";
import { seed } from "../../../test/support/seed.js";
import { seeded } from "../../../test/support/seeded.js";
import { until } from "../../../test/support/until.js";
import { type Database, type Driver, loadDriver } from "../driver.js";
import { pack, unpack } from "../packed.js";
import { FileSpool } from "./file-spool.js";
import { decodeRecord, encodeRecord } from "./record.js";
import { spoolPlan } from "./spool-options.js";
import type { ReadReply, SpoolNews } from "./spool-protocol.js";

const count = 400;

describe(`a spool's file that is damaged (seed ${seed})`, () => {
  let directory: string;
  let driver: Driver;
  let news: SpoolNews[];

  beforeAll(async () => {
    driver = await loadDriver();
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-spool-damage-"));
    news = [];
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const open = (using: Driver = driver) => new FileSpool(using, spoolPlan(directory), 0, (one) => news.push(one));
  const append = (spool: FileSpool, ids: readonly string[]) => {
    const records = pack(ids.map((id) => encodeRecord(newTask({ id, payload: Buffer.alloc(300, id) }))));
    return spool.run([{ verb: "append", ids, records, nowMs: 1 }])[0]!;
  };
  const read = (spool: FileSpool) => spool.run([{ verb: "read", after: 0, limit: 10_000 }])[0]!;
  const held = (spool: FileSpool) =>
    unpack((read(spool) as { value: ReadReply }).value.records).map((record) => decodeRecord(record!).message);
  const damage = () => news.filter((one) => one.news === "damaged");
  const home = () =>
    join(
      directory,
      readdirSync(directory).find((name) => name.startsWith("p-"))!,
    );
  const all = Array.from({ length: count }, (_, n) => `t${n}`);

  /** What a process leaves that was killed: its write-ahead log is not in the file yet, or is. */
  function dead(checkpointed: boolean): string {
    const spool = open();
    for (let n = 0; n < count; n += 10) append(spool, all.slice(n, n + 10));
    const file = join(home(), "spool.db");
    if (checkpointed) checkpoint(file);
    // As they are now: closing the file may bring its log into it.
    const [database, log] = [readFileSync(file), readFileSync(`${file}-wal`)];
    spool.close();
    asNew(file, database, log);
    return file;
  }

  function checkpoint(file: string): void {
    const other = driver(file);
    other.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    other.close();
  }

  /** Until there is nothing more to take over. */
  function adopt(spool: FileSpool): void {
    for (let n = 0; n < 100; n += 1) spool.tend();
  }

  function flip(file: string, at: number): void {
    const byte = readFileSync(file)[at]!;
    const descriptor = openSync(file, "r+");
    writeSync(descriptor, Buffer.from([byte ^ 0x10]), 0, 1, at);
    closeSync(descriptor);
  }

  it("gives back whatever can be read, as it was written, and keeps the rest for people to look at", () => {
    const random = seeded(seed);
    for (let round = 0; round < 6; round += 1) {
      const file = dead(round % 2 === 0);
      const flipped = round % 2 === 0 ? file : `${file}-wal`;
      // Not the first page, without which nothing can be read; see below.
      for (let n = 0; n < 3; n += 1) flip(flipped, Math.floor(4_096 + random() * (statSync(flipped).size - 4_096)));
      news = [];

      const spool = open();
      adopt(spool);

      const messages = held(spool);
      const wrong = messages.filter(({ id, payload }) => !Buffer.alloc(300, id).equals(Buffer.from(payload)));
      const told = damage();
      expect({ round, wrong }).toEqual({ round, wrong: [] });
      if (messages.length < count) {
        expect(told, `round ${round}: ${count - messages.length} of ${count} are missing`).toHaveLength(1);
        expect(readdirSync(told[0]!.kept)).toContain("spool.db");
      }
      expect(readdirSync(directory).filter((name) => name.startsWith("p-"))).toHaveLength(1);
      spool.run([
        {
          verb: "release",
          ended: (read(spool) as { value: ReadReply }).value.tasks.map(({ sequence }) => ({
            sequence,
            outcome: { status: "enqueued", id: "x", state: "pending" },
          })),
        },
      ]);
      spool.close();
    }
  }, 60_000);

  it("is not taken for damaged when a kill cut off the frame that was to end a transaction, on top of an older one", () => {
    const { file, database, before, after, last } = secondGeneration();
    // The head of the frame was written, and its page was not.
    const cutOff = Buffer.concat([after.subarray(0, last + 24), before.subarray(last + 24)]);
    asNew(file, database, cutOff);

    const spool = open();
    adopt(spool);

    expect(damage()).toEqual([]);
    expect(held(spool).map(({ id }) => id)).toEqual([...all, "first"]);
    spool.close();
  });

  it("is not taken for damaged when a kill left the head of a new log over the frames of one that nothing ties to it", () => {
    const file = dead(false);
    const log = readFileSync(`${file}-wal`);
    const database = driver(file);
    database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    const checkpointed = readFileSync(file);
    database.close();
    // The head of another log: SQLite chooses new salts at random when who begins one has not read the one before.
    const other = driver(join(directory, "other.db"));
    other.exec("PRAGMA journal_mode = WAL; CREATE TABLE one (n INTEGER)");
    const head = readFileSync(join(directory, "other.db-wal")).subarray(0, 32);
    other.close();
    asNew(file, checkpointed, Buffer.concat([head, log.subarray(32)]));

    const spool = open();
    adopt(spool);

    expect(damage()).toEqual([]);
    expect(held(spool).map(({ id }) => id)).toEqual(all);
    spool.close();
  });

  it("is told when a frame of the last transaction is damaged that is not its last", () => {
    const { file, database, after, last } = secondGeneration();
    asNew(file, database, after);
    flip(`${file}-wal`, last - 100);

    const spool = open();
    adopt(spool);

    expect(damage()).toHaveLength(1);
    expect(held(spool).map(({ id }) => id)).toEqual([...all, "first"]);
    spool.close();
  });

  /** A file whose log has begun anew over older frames: that log before and after one more transaction, of several frames. */
  function secondGeneration(): { file: string; database: Buffer; before: Buffer; after: Buffer; last: number } {
    const spool = open();
    for (let n = 0; n < count; n += 10) append(spool, all.slice(n, n + 10));
    const file = join(home(), "spool.db");
    const other = driver(file);
    other.exec("PRAGMA wal_checkpoint(RESTART)");
    append(spool, ["first"]);
    const [database, before] = [readFileSync(file), readFileSync(`${file}-wal`)];
    append(
      spool,
      Array.from({ length: 50 }, (_, n) => `second${n}`),
    );
    const after = readFileSync(`${file}-wal`);
    other.close();
    spool.close();
    const frameBytes = 24 + after.readUInt32BE(8);
    const frames = Math.ceil((after.findLastIndex((byte, at) => byte !== before[at]) - 32) / frameBytes);
    return { file, database, before, after, last: 32 + (frames - 1) * frameBytes };
  }

  /** New files: what this process knows of the old ones is not to be believed. */
  function asNew(file: string, database: Buffer, log: Buffer): void {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(file + suffix, { force: true });
    writeFileSync(file, database);
    writeFileSync(`${file}-wal`, log);
  }

  it("is kept whole when nothing of it can be read", () => {
    const file = dead(true);
    const database = readFileSync(file);
    for (let at = 0; at < 100; at += 7) flip(file, at);

    const spool = open();
    adopt(spool);
    append(spool, ["new"]);

    expect(damage()).toMatchObject([{ lost: undefined }]);
    expect(readFileSync(join(damage()[0]!.kept, "spool.db"))).toHaveLength(database.length);
    expect(held(spool).map(({ id }) => id)).toEqual(["new"]);
    spool.close();
  });

  it("gives back the first part when the second has been cut off", () => {
    const file = dead(true);
    truncateSync(file, Math.floor(statSync(file).size / 2));

    const spool = open();
    adopt(spool);

    expect(damage()).toHaveLength(1);
    const ids = held(spool).map(({ id }) => id);
    expect(ids).toEqual(all.filter((id) => ids.includes(id)));
    expect(ids.length).toBeGreaterThan(count / 4);
    expect(ids.length).toBeLessThan(count);
    spool.close();
  });

  it("is given up while it is in use, and what can be read goes on in another one", () => {
    const spool = open();
    append(spool, ["a", "b", "c"]);
    const first = home();
    const other = driver(join(first, "spool.db"));
    other.exec("UPDATE task SET record = (SELECT record FROM task WHERE id = 'a') WHERE id = 'b'");
    other.close();

    expect(read(spool)).toMatchObject({ error: { code: "SPOOL_FAILED" } });
    adopt(spool);

    expect(held(spool).map(({ id }) => id)).toEqual(["a", "c"]);
    expect(damage()).toMatchObject([{ lost: 1 }]);
    expect(home()).not.toBe(first);
    spool.close();
  });

  it("takes over every task when reading goes wrong for a while", () => {
    dead(true);
    let reads = 0;
    const busy = () =>
      (reads += 1) === 300 ? Object.assign(new Error("database is locked"), { errcode: 5 }) : undefined;
    const clock = vi.spyOn(performance, "now");
    const spool = open((location) =>
      location.includes(".by-") ? unreadable(driver(location), busy) : driver(location),
    );
    for (let n = 0; n < 10; n += 1) {
      spool.tend();
      clock.mockReturnValue(n * 60_000 + 1e9);
    }
    clock.mockRestore();

    expect(reads).toBeGreaterThan(300);
    expect(held(spool).map(({ id }) => id)).toEqual(all);
    expect(news.filter((one) => one.news === "trouble")).toHaveLength(1);
    expect(damage()).toEqual([]);
    spool.close();
  });

  it("passes over a row with a number that is too large, and takes over those around it", () => {
    const other = driver(dead(true));
    // What was released before has left a gap in front of it.
    other.exec(`DELETE FROM task WHERE sequence < 100; UPDATE task SET at_ms = 9007199254740993 WHERE sequence = 100;
      INSERT INTO parked SELECT sequence, id, at_ms, record, 'refused', -9223372036854775808 FROM task WHERE sequence = 101;
      INSERT INTO parked SELECT sequence, id, at_ms, record, 'refused', 1 FROM task WHERE sequence = 102`);
    other.close();

    const spool = open();
    adopt(spool);

    expect(held(spool).map(({ id }) => id)).toEqual(all.slice(100));
    expect(spool.run([{ verb: "stats" }])).toMatchObject([{ value: { parked: 1 } }]);
    expect(damage()).toMatchObject([{ lost: 2 }]);
    spool.close();
  });

  it("goes on in another file when a row of its own has a number that is too large", () => {
    const spool = open();
    append(spool, ["a", "b", "c"]);
    const other = driver(join(home(), "spool.db"));
    other.exec("UPDATE task SET at_ms = -9007199254740993 WHERE id = 'b'");
    other.close();

    expect(spool.run([{ verb: "stats" }])).toMatchObject([{ error: { code: "SPOOL_FAILED" } }]);
    adopt(spool);

    expect(held(spool).map(({ id }) => id)).toEqual(["a", "c"]);
    spool.close();
  });

  it("accepts nothing when the disk does not confirm it, and loses nothing that was accepted", async () => {
    const disk = { fails: false };
    const spool = open((location) => failing(driver(location), disk));
    append(spool, ["a"]);

    disk.fails = true;
    expect(append(spool, ["b"])).toMatchObject({ error: { code: "SPOOL_FAILED" } });
    expect(append(spool, ["c"])).toMatchObject({ error: { code: "SPOOL_FAILED" } });
    disk.fails = false;
    await until("it is tried again", () => "value" in append(spool, ["d"]));
    adopt(spool);

    expect(held(spool).map(({ id }) => id)).toEqual(["d", "a"]);
    spool.close();
  });
});

/** A disk whose fsync fails at every commit, as SQLite tells it. */
function failing(database: Database, disk: { readonly fails: boolean }): Database {
  return {
    exec(sql) {
      if (sql === "COMMIT" && disk.fails) throw Object.assign(new Error("disk I/O error"), { errcode: 1034 });
      database.exec(sql);
    },
    prepare: (sql) => database.prepare(sql),
    close: () => database.close(),
  };
}

/** One whose tasks cannot be read whenever `error` answers something. */
function unreadable(database: Database, error: () => Error | undefined): Database {
  return {
    exec: (sql) => database.exec(sql),
    prepare(sql) {
      const statement = database.prepare(sql);
      if (!sql.includes("FROM task WHERE sequence > ?")) return statement;
      const read = <T>(work: () => T): T => {
        const thrown = error();
        if (thrown !== undefined) throw thrown;
        return work();
      };
      return {
        run: (...values) => statement.run(...values),
        get: (...values) => read(() => statement.get(...values)),
        all: (...values) => read(() => statement.all(...values)),
      };
    },
    close: () => database.close(),
  };
}
