import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { connect, Inspector } from "../../src/index.js";
import { FileSpoolStore } from "../../src/embedded/spool/file-spool-store.js";
import { newTask } from "../support/builders.js";
import { holdfast } from "../support/cli.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";

const key = Buffer.alloc(32, 3).toString("base64");

describe("holdfast spool", () => {
  let folder: string;
  let directory: string;
  const opened: FileSpoolStore[] = [];

  async function spool(ids: readonly string[], options: { key?: string } = {}): Promise<FileSpoolStore> {
    const store = new FileSpoolStore({ directory, ...options }, silent);
    opened.push(store);
    await store.append(
      ids.map((id) => newTask({ id, queue: "mail", type: "mail:send", payload: Buffer.from(`"to ${id}"`) })),
      1_800_000_000_000,
    );
    return store;
  }
  const ls = async () => JSON.parse((await holdfast(["spool", "ls", directory, "--json"])).stdout) as Part[];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-cli-spool-"));
    directory = join(folder, "spool");
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()));
    rmSync(folder, { recursive: true, force: true });
  });

  it("lists what processes have that run or died, and shows their tasks", async () => {
    const dead = await spool(["a", "b"]);
    await dead.close();
    const other = directory;
    directory = join(folder, "live");
    await spool(["c"]);

    expect(await ls()).toMatchObject([{ alive: true, tasks: 1, parked: 0, pid: process.pid, problem: null }]);
    directory = other;
    const [part] = await ls();
    expect(part).toMatchObject({ alive: false, tasks: 2, oldestAt: "2027-01-15T08:00:00.000Z" });
    const people = await holdfast(["spool", "ls", directory]);
    expect(people.stdout).toMatch(/^NAME +STATE +TASKS +PARKED +BYTES +OLDEST\n.* dead +2 +0 /);
    const shown = JSON.parse((await holdfast(["spool", "show", directory, part!.name, "--json"])).stdout) as object[];
    expect(shown).toMatchObject([
      { id: "a", queue: "mail", type: "mail:send" },
      { id: "b", queue: "mail" },
    ]);
    expect(JSON.stringify(shown)).not.toContain("to a");
    const whole = await holdfast(["spool", "show", directory, part!.name, "--json", "--payload", "--limit", "1"]);
    expect(JSON.parse(whole.stdout)).toMatchObject([{ payload: '"to a"' }]);
    // Looking took nothing away.
    expect(await ls()).toEqual([part]);
  });

  it("shows ids without the key, and the rest with it", async () => {
    await (await spool(["a"], { key })).close();
    const keyFile = join(folder, "key");
    writeFileSync(keyFile, `${key}\n`);

    const [part] = await ls();
    expect(part).toMatchObject({ tasks: 1, problem: expect.stringContaining("sealed with the key") });
    const without = await holdfast(["spool", "show", directory, part!.name, "--json"]);
    const withKey = await holdfast(["spool", "show", directory, part!.name, "--json", "--key-file", keyFile]);
    expect(JSON.parse(without.stdout)).toMatchObject([{ id: "a", type: null }]);
    expect(JSON.parse(withKey.stdout)).toMatchObject([{ id: "a", type: "mail:send" }]);
  });

  it("removes what a dead process left, tasks only by force, and writes down who did", async () => {
    await (await spool(["a"])).close();
    const [part] = await ls();

    const refused = await holdfast(["spool", "rm", directory, part!.name]);
    expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining("1 tasks, 0 parked") });
    const done = await holdfast(["spool", "rm", directory, part!.name, "--force", "--yes", "--reason", "a test"]);

    expect(done.status).toBe(0);
    expect(readdirSync(directory)).toEqual(["removed.jsonl"]);
    const [line] = readFileSync(join(directory, "removed.jsonl"), "utf8").trim().split("\n");
    expect(JSON.parse(line!)).toMatchObject({
      name: part!.name,
      tasks: 1,
      reason: "a test",
      actor: expect.any(String),
    });
    const live = await spool(["b"]);
    const [own] = await ls();
    expect(await holdfast(["spool", "rm", directory, own!.name, "--force", "--yes"])).toMatchObject({ status: 2 });
    expect((await live.stats()).tasks).toBe(1);
  });

  it("ends with 2 for a directory or a name that there is not", async () => {
    await spool([]);
    expect(await holdfast(["spool", "ls", join(folder, "none")])).toMatchObject({ status: 2 });
    expect(await holdfast(["spool", "show", directory, "p-none"])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("there is no"),
    });
  });
});

describeRedis("holdfast spool drain", () => {
  it("brings what dead processes left to Redis", async () => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-cli-drain-"));
    const server = await RedisServer.start();
    try {
      const dead = new FileSpoolStore(folder, silent);
      await dead.append([newTask({ id: "a", queue: "mail" }), newTask({ id: "b", queue: "mail" })], 1_800_000_000_000);
      await dead.close();
      const drained = await holdfast(["spool", "drain", folder, "--url", server.url, "--json", "--reason", "moved"]);

      expect({ status: drained.status, stderr: drained.stderr.includes("failed") }).toEqual({
        status: 0,
        stderr: false,
      });
      expect(JSON.parse(drained.stdout)).toEqual({ delivered: 2, parked: 0, left: 0 });
      const [[, act] = []] = await server.admin.xrange("holdfast:audit", "-", "+");
      expect(act).toEqual(
        expect.arrayContaining(["spool drain", "moved", expect.stringContaining("Redis user default")]),
      );
      await using broker = connect(server.url, { log: silent });
      expect((await new Inspector(broker).queue("mail")).counts).toMatchObject({ pending: 2 });
    } finally {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  }, 120_000);
});

interface Part {
  readonly name: string;
}
