import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newTask } from "../support/builders.js";
import { CliHost } from "../support/cli.js";
import { die } from "../support/dead.js";

describe("holdfast dlq, by cause", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-cli-groups-"));
  const url = `file:${join(folder, "tasks.db")}`;
  let cli: CliHost;
  const holdfast = async (...args: readonly string[]) => cli.run("dlq", ...args, "--url", url);
  const json = async (...args: readonly string[]) => JSON.parse((await holdfast(...args, "--json")).stdout);
  const dead = async (ids: readonly string[], message: string, queue: string) =>
    die(
      url,
      ids.map((id) => newTask({ id, queue, type: "order:charge" })),
      { message },
    );

  beforeAll(async () => {
    cli = new CliHost();
    await dead(["a", "b"], "card 4711 was declined", "billing");
    await dead(["c"], "card 42 was declined", "mail");
    await dead(["d"], "no disk\u001b[2J", "mail");
  });
  afterAll(async () => {
    await cli[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  it("lists causes of all queues, and shows one in full; what errors hold steers no terminal", async () => {
    const { stdout, stderr } = await holdfast("groups");
    expect(stdout).toMatch(/FINGERPRINT +STATUS +DEAD +1H/);
    expect(stdout).toMatch(/open +3 +3 ↑ .* order:charge +(billing|mail) \+1\n {2}Error: card \d+ was declined/);
    expect(stdout).toContain("no disk\\u{1b}[2J");
    const { groups } = await json("groups");
    expect(groups).toMatchObject([{ count: 3, status: "open", types: ["order:charge"], notes: [] }, { count: 1 }]);
    expect(stderr).toContain(`holdfast dlq groups ${groups[0].fingerprint}`);

    const one = await holdfast("groups", groups[0].fingerprint);
    expect(one.stdout).toMatch(/dead +3 in billing \(2\), mail \(1\)/);
    expect(one.stdout).toContain(`holdfast dlq resolve ${groups[0].fingerprint}`);
    expect((await json("groups", groups[0].fingerprint)).tasks.map(({ id }: { id: string }) => id)).toEqual([
      "a",
      "b",
      "c",
    ]);
    // An error that stands above the list is not said with each dead letter once more.
    expect((await holdfast("groups", groups[1].fingerprint)).stdout.split("no disk")).toHaveLength(2);
    expect((await json("groups", "--queue", "mail")).groups).toMatchObject([{ count: 1 }, { count: 1 }]);
  });

  it("takes what people say of it, and tells it again", async () => {
    const { fingerprint } = (await json("groups")).groups[0];

    expect((await holdfast("ack", fingerprint, "--actor", "ada")).stdout).toContain("Acknowledged");
    expect((await holdfast("note", fingerprint, "the", "bank is down")).stdout).toContain("Noted");
    expect(await json("snooze", fingerprint, "--for", "4h")).toMatchObject({ status: "snoozed" });
    expect((await holdfast("resolve", fingerprint)).stderr).toContain("must say what was wrong");
    expect((await holdfast("resolve", fingerprint, "--cause", "no index", "--lesson", "look")).status).toBe(0);

    const { stdout } = await holdfast("groups", fingerprint);
    expect(stdout).toMatch(/status +resolved/);
    expect(stdout).toMatch(/Resolved .*\n {2}cause +no index\n {2}lesson +look/);
    expect(stdout).toMatch(/Note .*\n {2}the bank is down/);
    expect((await json("groups", "--status", "resolved")).groups).toMatchObject([{ fingerprint }]);
    expect(await json("reopen", fingerprint)).toMatchObject({ status: "open" });
    expect((await holdfast("reopen", "v1:0000000000000001")).status).toBe(3);
  });

  it("counts", async () => {
    expect(await json("stats")).toMatchObject({
      dead: 4,
      lastHour: 4,
      groups: 2,
      unindexed: 0,
      queues: [
        { name: "billing", dead: 2 },
        { name: "mail", dead: 2 },
      ],
      types: [{ name: "order:charge", dead: 4 }],
      reasons: [{ name: "retries_exhausted", dead: 4 }],
    });
    expect((await holdfast("stats")).stdout).toMatch(/^4 dead letters of 2 causes/);
  });
});
