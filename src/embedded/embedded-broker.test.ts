import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Broker, LeasedTask } from "../broker/broker.js";
import { newTask, settled } from "../../test/support/builders.js";
import { until } from "../../test/support/until.js";
import { loadDriver } from "./driver.js";
import { embeddedBroker } from "./index.js";
import { acquireLink } from "./shared-links.js";

const nowMs = 1_800_000_000_000;

let folder: string;
let file: string;
const brokers: Broker[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-embedded-"));
  file = join(folder, "tasks.db");
});
afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.close();
  rmSync(folder, { recursive: true, force: true });
});

function open(path = file): Broker {
  const broker = embeddedBroker({ file: path });
  brokers.push(broker);
  return broker;
}

async function leaseAll(broker: Broker): Promise<LeasedTask[]> {
  const lease = {
    workerId: "w",
    requestId: crypto.randomUUID(),
    queues: ["default"],
    limit: 100,
    leaseMs: 5_000,
    suspects: 1,
  };
  return (await broker.exchange({ settle: [], lease }, nowMs)).leased;
}

/** Ends the thread of a file in this process, as a crash of it would. */
async function killThread(path: string): Promise<unknown> {
  const shared = acquireLink(path, "the killer");
  const error = await shared.link.call("ping", null as never).catch((thrown: unknown) => thrown);
  await shared.release();
  return error;
}

describe("embedded broker", () => {
  it.each([
    [{ file: "" }, "must be a path"],
    [{ file: "a\0b" }, "must be a path"],
    [{ file: 7 }, "must be a path"],
    [{}, "must be a path"],
    [{ file: "x", sync: true }, "is not an option"],
  ])("refuses %j", (options, problem) => {
    expect(() => embeddedBroker(options as { file: string })).toThrowError(
      expect.objectContaining({ code: "OPTION_INVALID", message: expect.stringContaining(problem) }),
    );
  });

  it("is one store for every way of writing its path, until the last broker is closed", async () => {
    mkdirSync(join(folder, "real"));
    symlinkSync(join(folder, "real"), join(folder, "link"));
    const first = acquireLink(join(folder, "real", "tasks.db"), "first");
    const second = acquireLink(join(folder, "link", "..", "link", "tasks.db"), "second");
    await first.link.call("ping", {});
    await first.release();

    expect(second.link).toBe(first.link);
    await expect(second.link.call("queues", { nowMs })).resolves.toEqual([]);
    await second.release();
    const third = acquireLink(join(folder, "real", "tasks.db"), "third");
    expect(third.link).not.toBe(first.link);
    await third.release();
  });

  it("in memory is every broker's own", async () => {
    const [one, other] = [open(":memory:"), open(":memory:")];
    await one.enqueue([newTask()], nowMs);

    expect([one.label, await one.queues(nowMs), await other.queues(nowMs)]).toMatchObject([
      "memory:",
      [{ name: "default" }],
      [],
    ]);
  });

  it("tells a call that its thread died with the tasks concerned, and goes on with a new thread", async () => {
    const broker = open();
    await broker.enqueue([newTask({ id: "before" })], nowMs);
    const killing = killThread(file);
    const lost = broker.enqueue([newTask({ id: "lost" })], nowMs);

    await expect(lost).rejects.toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { broker: `file:${file}`, outcome: "unknown", taskIds: ["lost"] },
    });
    expect(await killing).toMatchObject({ code: "BROKER_UNAVAILABLE" });
    expect((await leaseAll(broker)).map(({ message }) => message.id)).toEqual(["before"]);
  });

  it("waits no longer than the caller does for a file that another program holds, and loses nothing", async () => {
    const broker = open();
    await broker.ping();
    const other = (await loadDriver())(file);
    other.exec("BEGIN IMMEDIATE");

    const failed = await broker.enqueue([newTask({ id: "1" })], nowMs, 200).catch((error: unknown) => error);
    other.exec("COMMIT");
    other.close();

    expect(failed).toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { broker: `file:${file}`, problem: "no answer within 200 ms", outcome: "unknown", taskIds: ["1"] },
    });
    expect((await leaseAll(broker)).map(({ message }) => message.id)).toEqual(["1"]);
  });

  it("tells of queues as they are now to a caller who does not say when, and never a wait that is no number", async () => {
    const broker = open();
    await broker.enqueue([newTask({ id: "waiting" })], broker.clock.nowMs() - 5_000);

    const [info] = await (broker as unknown as { queues(): ReturnType<Broker["queues"]> }).queues();

    expect(info?.latencyMs).toBeGreaterThanOrEqual(5_000);
    expect(info?.latencyMs).toBeLessThan(60_000);
  });

  it("renews on a new thread what was held on one that died", async () => {
    const broker = open();
    await broker.enqueue([newTask({ id: "held" })], broker.clock.nowMs());
    const lease = { workerId: "w", requestId: "r", queues: ["default"], limit: 1, leaseMs: 5_000, suspects: 0 };
    const { leased } = await broker.exchange({ settle: [], lease }, broker.clock.nowMs());
    const errors: unknown[] = [];
    const lost: unknown[] = [];
    const keeper = broker.keeper({
      leaseMs: 5_000,
      onLost: (refs) => lost.push(...refs),
      onError: (error) => errors.push(error),
    });
    keeper.hold(leased.map((task) => ({ lease: task.lease, renewUntilMs: broker.clock.nowMs() + 60_000 })));
    await killThread(file);

    await broker.ping();
    await broker.exchange({ settle: leased.map((task) => settled.released(task)) }, broker.clock.nowMs());

    await until("the new thread finds that the lease is gone", () => lost.length > 0);
    expect(lost).toEqual([{ queue: "default", id: "held", token: "r" }]);
    expect(errors).toMatchObject([{ code: "BROKER_UNAVAILABLE" }]);
    await keeper.close();
  });

  it("in memory does not pretend to go on when its thread has died", async () => {
    const { link } = acquireLink(":memory:", "memory:");
    const lost = { code: "BROKER_FAILED", message: expect.stringContaining("stored in memory") };

    await expect(link.call("ping", null as never)).rejects.toMatchObject(lost);
    await expect(link.call("ping", {})).rejects.toMatchObject(lost);
  });

  it("lets the process end when nothing is under way, though it was not closed, and not before", async () => {
    const entry = pathToFileURL(join(import.meta.dirname, "../../dist/esm/embedded/index.js"));
    const program = `
      import { embeddedBroker } from ${JSON.stringify(entry)};
      const broker = embeddedBroker({ file: ${JSON.stringify(file)} });
      await broker.ping();
      void broker.queues(0).then(() => console.log("answered"));`;

    const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], {
      timeout: 8_000,
    });

    expect([stdout, stderr]).toEqual(["answered\n", ""]);
  });

  it.skipIf(process.getBuiltinModule("node:sqlite"))("says what to install where there is no SQLite", async () => {
    cpSync(join(import.meta.dirname, "../../dist/esm"), join(folder, "esm"), { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    const program = `
      import { embeddedBroker } from ${JSON.stringify(pathToFileURL(join(folder, "esm/embedded/index.js")))};
      const broker = embeddedBroker({ file: ":memory:" });
      for (const call of [broker.ping(), broker.queues(0)]) await call.catch((error) => console.log(error.code, error.message));
      await broker.close();`;

    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], {
      timeout: 8_000,
    });

    expect(stdout.match(/^BROKER_INCOMPATIBLE .*npm install @photostructure\/sqlite@1.*Node 22\.13/gm)).toHaveLength(2);
  });
});
