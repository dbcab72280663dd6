import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { newTask } from "../../../test/support/builders.js";
import { type Driver, loadDriver } from "../driver.js";
import { pack } from "../packed.js";
import { FileSpool } from "./file-spool.js";
import { Home } from "./home.js";
import { openSpools } from "./open-spools.js";
import { encodeRecord } from "./record.js";
import { SpoolFile } from "./spool-file.js";
import { spoolPlan } from "./spool-options.js";

describe("looking into a spool", () => {
  const keys = [new Uint8Array(32).fill(7)];
  let directory: string;
  let driver: Driver;

  beforeAll(async () => {
    driver = await loadDriver();
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-spools-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it("makes nothing in a home that its process has only begun, which is sealed all the same", async () => {
    const home = Home.create(driver, directory);
    const spools = await openSpools(directory);
    const inside = () => readdirSync(home.path).toSorted();
    const before = inside();

    expect(spools.list()).toMatchObject([{ alive: true, tasks: 0, problem: undefined }]);
    expect(spools.tasks(home.name)).toEqual([]);
    expect(inside()).toEqual(before);
    writeFileSync(home.file, "");
    expect(spools.list()).toMatchObject([{ alive: true, tasks: 0, problem: undefined }]);

    const file = SpoolFile.create(driver, home.file, keys);
    file.append({ sequence: 1, id: "a", atMs: 1, record: Buffer.from("SECRET-PAYLOAD") });
    expect(spools.list()).toMatchObject([{ alive: true, tasks: 1, problem: expect.stringContaining("sealed") }]);
    const bytes = Buffer.concat([readFileSync(home.file), readFileSync(`${home.file}-wal`)]);
    expect(bytes.includes("SECRET-PAYLOAD")).toBe(false);
    file.close();
    home.release();
  });

  it("shows a row with a number that is too large, and those around it", async () => {
    const home = Home.create(driver, directory);
    const file = SpoolFile.create(driver, home.file, []);
    for (const sequence of [1, 2, 3]) {
      file.append({ sequence, id: `t${sequence}`, atMs: sequence, record: encodeRecord(newTask()) });
    }
    file.park(3, "refused", 9);
    file.remove(3);
    file.database.exec(
      "UPDATE task SET at_ms = 9007199254740993 WHERE sequence = 2; UPDATE parked SET parked_ms = -9007199254740993",
    );

    const shown = (await openSpools(directory)).tasks(home.name);

    expect(shown.map(({ id, message }) => [id, message?.type])).toEqual([
      ["t1", "test:plain"],
      ["t2", undefined],
      ["t3", undefined],
    ]);
    file.close();
    home.release();
  });

  it("finds a new file refused where somebody else has chosen that it is in clear", () => {
    const home = Home.create(driver, directory);
    SpoolFile.open(driver, home.file, []).close();

    expect(() => SpoolFile.create(driver, home.file, keys)).toThrow("another process wrote into the new file");
    home.release();
  });

  it.each([
    ["in clear", undefined],
    ["sealed with a key that is not given", Buffer.alloc(32, 7).toString("base64")],
  ])("removes a home with a damaged log only by force (%s)", async (_, key) => {
    const spool = new FileSpool(driver, spoolPlan({ directory, ...(key !== undefined && { key }) }), 0, () => {});
    spool.run([{ verb: "stats" }]);
    const left = readdirSync(directory).find((one) => one.startsWith("p-"))!;
    spool.run([{ verb: "append", ids: ["a"], records: pack([encodeRecord(newTask({ id: "a" }))]), nowMs: 1 }]);
    const [main, log] = ["", "-wal"].map((end) => readFileSync(join(directory, left, `spool.db${end}`)));
    spool.close();
    rmSync(join(directory, left), { recursive: true });
    log![lastTransaction(log!) + 100]! ^= 0xff;
    // In another home: what SQLite knows of the first one in this process would hide the damage.
    const home = Home.create(driver, directory);
    const { name } = home;
    writeFileSync(home.file, main!);
    writeFileSync(`${home.file}-wal`, log!);
    home.release();

    const spools = await openSpools(directory);
    expect(() => spools.remove(name, { actor: "a test" })).toThrow("write-ahead log is damaged");
    expect(() => spools.remove(name, { actor: "a test" })).toThrow("0 tasks, 0 parked, and perhaps more");
    expect(spools.remove(name, { actor: "a test", force: true })).toEqual({ tasks: 0, parked: 0 });
  });
});

/** Where the first frame of the last transaction of a log begins. */
function lastTransaction(log: Buffer): number {
  const frame = 24 + log.readUInt32BE(8);
  const ends: number[] = [32];
  for (let at = 32; at + frame <= log.length; at += frame) {
    if (log.readUInt32BE(at + 4) !== 0) ends.push(at + frame);
  }
  return ends.at(-2)!;
}
