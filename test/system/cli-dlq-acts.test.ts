import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { newTask } from "../support/builders.js";
import { type CliHost, type Ended, holdfast } from "../support/cli.js";
import { cliOnRedis } from "../support/cli-on-redis.js";
import { die } from "../support/dead.js";
import { describeRedis } from "../support/redis-server.js";

const payload = '{"total":9007199254740993,"to":"ann"}';

describeRedis("acts on dead letters from the command line", () => {
  let url: string;
  let host: CliHost;
  let folder: string;
  cliOnRedis((site) => ({ url, host, folder } = site));

  const run = (...args: string[]): Promise<Ended> => host.run("dlq", ...args);
  const done = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await run(...args);
    expect({ args, status: status ?? 0, stderr }).toMatchObject({ args, status: 0 });
    return stdout;
  };
  // oxlint-disable-next-line typescript/no-explicit-any -- documents of many shapes, each looked at by its test
  const json = async (...args: string[]): Promise<any> => JSON.parse(await done(...args, "--json"));

  const dead = async (queue: string, ids: readonly string[]) =>
    die(
      url,
      ids.map((id) => newTask({ id, queue, type: "invoice:send", payload: Buffer.from(payload), maxRetry: 0 })),
    );

  it("discards with a reason, lists the trash, restores and purges", async () => {
    await dead("trash", ["a", "b", "c"]);

    expect(await run("discard", "trash", "a")).toMatchObject({ status: 2 });
    expect(await done("discard", "trash", "a", "b", "--reason", "a test", "--keep", "2d")).toBe(
      "discarded  a\ndiscarded  b\n",
    );
    expect((await json("trash", "ls", "trash"))[0]).toMatchObject({ id: "a", reason: "a test", type: "invoice:send" });
    expect(await done("trash", "ls")).toMatch(
      /^ID +QUEUE +TYPE +GOES +WHY +BY\na +trash +invoice:send +in \S+ \S+ +a test /,
    );
    expect(await done("restore", "trash", "a")).toBe("restored  a\n");
    expect(await run("restore", "trash", "a")).toMatchObject({ status: 3 });
    expect(await run("trash", "purge", "trash", "--all")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/--yes/),
    });
    expect(await done("trash", "purge", "trash", "--all", "--yes")).toBe("deleted for good  b\n");
    expect(await json("discard", "--where", "queue:trash", "--reason", "all", "--yes")).toEqual({
      where: "queue:trash",
      discarded: 2,
      skipped: 0,
      calledOff: false,
    });
    expect(await done("restore", "trash", "--all")).toBe("restored  a\nrestored  c\n");
    const odd = 'a "b\\c*:\b\u0085é';
    await dead(odd, ["o"]);
    expect(await json("ack", "--queue", odd, "--where", "age:<1d")).toMatchObject({ acknowledged: 1, skipped: 0 });
  });

  it("makes a copy with the payload as it was written, once for a request", async () => {
    await dead("edit", ["e"]);
    const fixed = payload.replace("993", "995");
    writeFileSync(join(folder, "fixed.json"), fixed);
    const edit = (...more: string[]) =>
      run("edit", "e", "--file", join(folder, "fixed.json"), "--request", "r1", ...more);

    const shown = await edit("--dry-run");
    expect(shown.stdout).toBe(
      '  {\n-   "total": 9007199254740993,\n+   "total": 9007199254740995,\n    "to": "ann"\n  }\n',
    );
    const copied = JSON.parse((await edit("--json", "--yes")).stdout);
    expect(copied).toMatchObject({ of: { queue: "edit", id: "e" }, status: "copied", again: false });
    expect(JSON.parse((await edit("--json", "--yes")).stdout)).toMatchObject({ id: copied.id, again: true });
    const stored = await host.run("task", "payload", "edit", copied.id, "--json");
    expect(JSON.parse(stored.stdout).payload).toBe(fixed);
    expect(await run("edit", "e", "--set", "{", "--yes")).toMatchObject({ status: 2 });
    expect(await run("edit", "e", "--base64", "%%", "--yes")).toMatchObject({ status: 2 });
    expect(await done("edit", "e", "--base64", "/wA=", "--any-bytes", "--to", "elsewhere", "--yes")).toMatch(
      /^- {3}"total".*\n[^]*copied {2}\S+ {2}\(queue elsewhere\)\n$/m,
    );
  });

  it("runs a handler here, and tells what came of it", async () => {
    await dead("replay", ["r"]);
    const handler = join(folder, "handler.mjs");
    writeFileSync(
      handler,
      "export default (payload, task) => ({ to: payload.to, attempt: task.attempt });\n" +
        "export const failing = () => { throw new TypeError('no such customer'); };\n",
    );

    expect(await run("replay", "r", handler)).toMatchObject({ status: 2 });
    expect(await json("replay", "--local", "r", handler)).toMatchObject({
      status: "completed",
      result: { to: "ann", attempt: 1 },
    });
    const failed = await run("replay", "--local", "r", handler, "--export", "failing");
    expect(failed).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/TypeError: no such customer\n[^]*dead letter again/),
    });
    expect(JSON.parse((await host.run("task", "show", "replay", "r", "--json")).stdout)[0]).toMatchObject({
      state: "archived",
      failure: { message: "boom" },
    });
    // In a process of its own: it must end by itself.
    const alone = await holdfast(["dlq", "replay", "--local", "r", handler, "--url", url]);
    expect(alone).toMatchObject({ status: 0, stdout: expect.stringMatching(/^completed/) });
  });

  it("exports to a file that nobody else reads, and imports it again", async () => {
    await dead("export", ["x", "y"]);
    const file = join(folder, "letters.jsonl");

    await done("export", "--where", "queue:export", "--out", file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, "utf8").trim().split("\n")).toHaveLength(2);
    await host.run("task", "delete", "export", "x", "y");
    writeFileSync(file, `${readFileSync(file, "utf8")}no record\n`);
    const imported = await run("import", file, "--reason", "put back");
    expect(imported).toMatchObject({
      status: 4,
      stdout: "2 dead letters put back\n1 line is no dead letter:\n  line 3: it is no JSON\n",
    });
    expect(await json("search", "queue:export id:x")).toMatchObject({ id: "x" });
    expect(await done("export", "export", "x", "y", "--markdown")).toMatch(/^# Incident: 2 dead letters\n/);
  });

  it("acknowledges, and takes that back", async () => {
    await dead("ack", ["k"]);

    expect(await done("ack", "k", "--reason", "refunded")).toBe("acknowledged  k\n");
    expect(await run("ack", "ack", "k", "nobody")).toMatchObject({
      status: 3,
      stdout: "acknowledged  k\nnot done  nobody: not found (queue ack)\n",
    });
    expect(await done("ack", "k", "--undo")).toBe("no more acknowledged  k\n");
  });
});
