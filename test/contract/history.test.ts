import { expect } from "vitest";
import type { LeasedTask } from "../../src/broker/broker.js";
import type { Failure } from "../../src/core/outcome.js";
import { failure } from "../support/builders.js";
import { by, describeBroker, type Trial } from "./describe-broker.js";

/** Leases the task, and settles it as failed at that time. */
async function fail(t: Trial, ms: number, why: Partial<Failure>, kind: "retry" | "returned" | "archived" = "retry") {
  await t.promote(ms);
  const task: LeasedTask = await t.leaseOne({}, ms);
  const told = failure({ startedAtMs: t.at(ms), ...why });
  const outcome =
    kind === "archived"
      ? ({ kind: "archived", failure: told } as const)
      : ({ kind: "retry", atMs: t.at(ms), counts: kind === "retry", failure: told } as const);
  await t.settle([{ task, outcome }], ms);
  return told;
}

const told = async (t: Trial) => {
  const { failure: last, history } = (await t.find("1"))!;
  return [...(history ?? []), last].map((one) => one?.message);
};

describeBroker("earlier failures", ({ it }) => {
  it("are kept, each with all that is known of it, and end with the last", async (t) => {
    await t.enqueue(["1"]);
    const first = await fail(t, 0, {
      message: 'first: é\n"x"',
      class: "TypeError",
      stack: "TypeError: first\n    at x (y.js:1:1)",
      host: "node-1",
      build: "abc123",
      attempt: 1,
      log: ["0.001s began", "0.002s ended"],
      logUrl: "https://logs/?q=1",
    });
    const second = await fail(t, 2_000, { message: "second" });
    const third = await fail(t, 4_000, { message: "third", reason: "retries_exhausted" }, "archived");

    expect(await t.find("1")).toMatchObject({ state: "archived", failure: third, history: [first, second] });
  });

  it("are the last ten", async (t) => {
    await t.enqueue(["1"]);
    for (let n = 0; n < 13; n++) await fail(t, n * 2_000, { message: String(n) });

    expect(await told(t)).toEqual(["2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]);
  });

  it("have 16 KiB together, and the newest stay", async (t) => {
    await t.enqueue(["1"]);
    for (let n = 0; n < 7; n++) await fail(t, n * 2_000, { message: `${n} ${"x".repeat(4_090)}` });

    expect((await told(t)).map((one) => one?.slice(0, 2))).toEqual(["3 ", "4 ", "5 ", "6 "]);
    // One alone that has more than all may have is cut where it is stored, and still is one.
    await fail(t, 20_000, { message: "é".repeat(4_096), stack: "é".repeat(8_192), log: ["é"] });
    await fail(t, 22_000, { message: "last" });
    const { history } = (await t.find("1"))!;
    expect(history!.at(-1)).toMatchObject({ message: "é".repeat(4_096) });
    expect(Buffer.byteLength(JSON.stringify(history))).toBeLessThan(16_500);
  });

  it("tell of a task that is given back for the same reason again and again once", async (t) => {
    await t.enqueue(["1"]);
    await fail(t, 0, { message: "real" });
    for (let n = 1; n < 5; n++) await fail(t, n * 2_000, { message: `later ${n}`, reason: "retry_after" }, "returned");
    await fail(t, 20_000, { message: "real again" });

    expect(await told(t)).toEqual(["real", "later 4", "real again"]);
  });

  it("stay when somebody archives the task, and say who did when it is run and fails again", async (t) => {
    await t.enqueue(["1"]);
    await fail(t, 0, { message: "first" });
    await t.broker.move({ queue: t.queue, ids: ["1"] }, "archived", { ...by, actor: "ops" }, { limit: 1 }, t.at(2_000));
    expect(await told(t)).toEqual(["first", expect.stringMatching(/^by ops/)]);
    expect((await t.find("1"))?.failure).toMatchObject({ reason: "manual", actor: "ops" });

    await t.broker.move({ queue: t.queue, ids: ["1"] }, "pending", by, { limit: 1 }, t.at(3_000));
    await fail(t, 4_000, { message: "again" });
    expect((await t.find("1"))?.history?.map(({ reason, actor }) => [reason, actor])).toEqual([
      ["failed", undefined],
      ["manual", "ops"],
    ]);
  });

  it("stay when a crash ends the task", async (t) => {
    await t.enqueue([t.task("1", {}, { atMostOnce: true })]);
    await fail(t, 0, { message: "first" });
    await t.promote(2_000);
    await t.leaseOne({}, 2_000);
    await t.reclaim(600_000);

    expect(await t.find("1")).toMatchObject({ state: "archived", failure: { reason: "lease_expired" } });
    expect((await told(t))[0]).toBe("first");
  });

  it("are gone when the task completes, and are not read with a list", async (t) => {
    await t.enqueue([t.task("1", { retentionMs: 60_000 })]);
    await fail(t, 0, { message: "first" });
    await fail(t, 2_000, { message: "second" });
    const { items } = await t.broker.list({ queue: t.queue, state: "retry" }, { limit: 10 });
    expect(items.map(({ history, failure: last }) => [history, last?.message])).toEqual([[undefined, "second"]]);

    await t.promote(4_000);
    await t.settle([{ task: await t.leaseOne({}, 4_000), outcome: { kind: "completed" } }], 4_000);
    expect(await told(t)).toEqual([undefined]);
  });
});
