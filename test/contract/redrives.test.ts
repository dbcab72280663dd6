import { expect } from "vitest";
import { minBuildHeader } from "../../src/core/build.js";
import { sideEffectsHeader } from "../../src/core/names.js";
import type { RedriveInfo } from "../../src/deadletter/redrive/redrives.js";
import { settled } from "../support/builders.js";
import { until } from "../support/until.js";
import { describeBroker } from "./describe-broker.js";

import {
  quick,
  lettersOf,
  all,
  die,
  lettersWith,
  dyingAfter,
  letGo,
  changed,
  work,
  driven,
  outcomesOf,
  fail,
} from "./redrive-tools.js";

describeBroker("redrives", ({ it }) => {
  it("say beforehand what they would do, and do nothing", async (t) => {
    await die(t, ["1", "2"]);
    await die(t, ["human"], { headers: { [sideEffectsHeader]: "needs-human" } });
    await die(t, ["late"], { deadlineMs: t.at(-10_000) });

    const plan = await lettersOf(t).redrives.plan(all(t), { rate: 1, ramp: "0s", canary: 0 });

    expect(plan).toMatchObject({
      tasks: 2,
      queues: { [t.queue]: 2 },
      oldestAtMs: t.at(-90_000),
      causes: [{ type: "test:plain", tasks: 2 }],
      ineligible: { needsHuman: 1, deadline: 1 },
      estimateMs: 2_000,
      scanned: 4,
    });
    expect(plan.refused.map(({ id, why }) => `${id} ${why}`).toSorted()).toEqual(["human needsHuman", "late deadline"]);
    expect(await t.counts()).toEqual({ archived: 4 });
  });

  it("run all they have chosen, and tell what became of each", async (t) => {
    await die(t, ["1", "2", "3", "4", "5"]);
    const letters = lettersOf(t);

    const { id } = await letters.redrives.start(all(t), { ...quick, brake: 100 });
    const { info } = await driven(t, letters, id, ({ message }) =>
      message.id === "2" ? "same" : message.id === "3" ? "other" : "completed",
    );

    expect(info).toMatchObject({ status: "done", phase: "ended", isDriven: false, by: { actor: "ops@test" } });
    expect(info.counts).toEqual({
      left: 0, waiting: 0, succeeded: 3, failedSame: 1, failedOther: 1, gone: 0, notMoved: 0,
    }); // prettier-ignore
    expect(await outcomesOf(letters, id)).toEqual({
      1: "succeeded",
      2: "failedSame",
      3: "failedOther",
      4: "succeeded",
      5: "succeeded",
    });
    // What was kept to be seen goes, and what failed is as it was.
    expect(await t.prune(1_000)).toBe(3);
    expect((await t.find("2"))?.message).toMatchObject({ retentionMs: 0, maxRetry: 0 });
    expect((await letters.redrives.list()).map((one) => one.id)).toContain(id);
  });

  it("leave what becomes a dead letter after their start", async (t) => {
    await die(t, ["1"]);
    const letters = lettersOf(t);
    const { id } = await letters.redrives.start(all(t), quick);
    await t.enqueue(["later"]);
    await t.settle([settled.archived(await t.leaseOne())], 60_000);

    const { ran } = await driven(t, letters, id);

    expect(ran).toEqual(["1"]);
    expect(await t.stateOf("later")).toBe("archived");
  });

  it("stop themselves after the first few when those fail again, and go on when they are resumed", async (t) => {
    await die(
      t,
      Array.from({ length: 20 }, (_, n) => `${n}`),
    );
    const letters = lettersOf(t);
    const { id } = await letters.redrives.start(all(t), { ...quick, canary: 3 });

    const { ran, info } = await driven(t, letters, id, () => "same");

    expect(info).toMatchObject({ status: "braked", phase: "canary" });
    expect(info.says).toMatch(/3 of the first 3 tasks have failed again/);
    expect(ran).toEqual(["0", "1", "2"]);
    expect(await t.counts()).toEqual({ archived: 20 });

    expect(await letters.redrives.resume(id)).toMatchObject({ status: "running", causes: {} });
    const again = await driven(t, letters, id);
    expect(again.info).toMatchObject({ status: "done", counts: { succeeded: 17, failedSame: 3 } });
  });

  it("stop themselves when too large a share of a cause has failed again", async (t) => {
    await die(
      t,
      Array.from({ length: 60 }, (_, n) => `${n}`),
    );
    const letters = lettersOf(t);
    const options = { ...quick, inFlight: 5, brake: 50, brakeSample: 10 };
    const { id } = await letters.redrives.start(all(t), options);

    const { ran, info } = await driven(t, letters, id, ({ message }) =>
      Number(message.id) < 5 ? "completed" : "same",
    );

    expect(info.status).toBe("braked");
    expect(info.says).toMatch(/tasks of v1:[0-9a-f]{16} have failed again \(more than 50 %\)/);
    expect(ran.length).toBeLessThan(25);
    expect(info.counts.left).toBe(60 - ran.length);
  });

  it("run one after the other where that is asked for, and stop when one fails", async (t) => {
    await die(t, ["a", "b", "c", "d"]);
    const letters = lettersOf(t);
    const { id } = await letters.redrives.start(all(t), { ...quick, ordered: true });

    const { ran, info } = await driven(t, letters, id, ({ message }) => (message.id === "c" ? "same" : "completed"));

    expect(ran).toEqual(["a", "b", "c"]);
    expect(info).toMatchObject({ status: "braked", counts: { left: 1, succeeded: 2, failedSame: 1 } });
  });

  it("run in another queue, where each arrives once", async (t) => {
    await die(t, ["1", "2"], { retentionMs: 0 });
    const letters = lettersOf(t);
    const to = t.queueNamed("fixup");
    const { id } = await letters.redrives.start(all(t), { ...quick, queue: to });

    const { ran, info } = await driven(
      t,
      letters,
      id,
      ({ message }) => (message.id === "1" ? "completed" : "same"),
      to,
    );

    expect(ran.toSorted()).toEqual(["1", "2"]);
    expect(info).toMatchObject({ status: "done", counts: { succeeded: 1, failedSame: 1 } });
    expect(await t.counts()).toEqual({});
    expect(await t.find("2", to)).toMatchObject({ state: "archived", message: { queue: to, retentionMs: 0 } });
  });

  it("give their own retention back to tasks of another queue though their process died while it noted the end", async (t) => {
    await die(t, ["1"], { retentionMs: 0 });
    const letters = lettersOf(t);
    const to = t.queueNamed("fixup");
    const { id } = await letters.redrives.start(all(t), { ...quick, queue: to });
    const hasEnded = async () => (await t.find("1", to))?.state === "archived";
    let isDead = false;
    const doomed = lettersOf(t, dyingAfter(t, "noteRedriven", async () => (isDead = await hasEnded()))); // prettier-ignore
    await until("it died", async () => {
      await doomed.redrives.step(() => undefined);
      await work(t, () => "same", to);
      return isDead;
    });
    await letGo(t, id);

    expect((await driven(t, letters, id)).info).toMatchObject({ counts: { failedSame: 1 } });
    expect(await t.find("1", to)).toMatchObject({ state: "archived", message: { retentionMs: 0 } });
  });

  it("are paused, get another rate, and are cancelled; what is left is named", async (t) => {
    await die(t, ["1", "2", "3"]);
    const letters = lettersOf(t);
    const { redrives } = letters;
    const { id } = await redrives.start(all(t), { ...quick, canary: 1 });
    await until("the first is moved", async () => {
      await redrives.step(fail);
      return (await t.counts()).pending === 1;
    });

    expect(await redrives.pause(id, { reason: "lunch" })).toMatchObject({
      status: "paused",
      says: expect.stringContaining("lunch"),
    });
    await work(t, () => "completed");
    await until("its end is seen, though it is paused", async () => {
      await redrives.step(fail);
      return (await redrives.get(id)).counts.succeeded === 1;
    });
    expect(await t.counts()).toMatchObject({ archived: 2 });
    expect(await redrives.rate(id, 7)).toMatchObject({ settings: { rate: 7 }, status: "paused" });

    expect(await redrives.cancel(id, { reason: "enough" })).toMatchObject({
      status: "cancelled",
      phase: "ended",
      counts: { left: 0, succeeded: 1, notMoved: 2 },
    });
    const left = [];
    for await (const { became, why } of redrives.outcomes(id)) if (became === "notMoved") left.push(why);
    expect(left).toEqual(["cancelled", "cancelled"]);
    await expect(redrives.resume(id)).rejects.toMatchObject({ code: "REDRIVE_ENDED" });
    expect((await redrives.plan(all(t))).tasks).toBe(2);
  });

  it("give back its own retention to what still waits when they end, and see what has ended unseen", async (t) => {
    await die(t, ["done", "runs", "waits"], { retentionMs: 0 });
    const { redrives } = lettersOf(t);
    const { id } = await redrives.start(all(t), quick);
    await until("all are moved", async () => {
      await redrives.step(fail);
      return (await t.counts()).pending === 3;
    });
    await t.settle([settled.completed(await t.leaseOne())]);
    const running = await t.leaseOne();
    expect((await t.find("waits"))?.message?.retentionMs).toBe(86_400_000);

    expect(await redrives.cancel(id)).toMatchObject({ phase: "ended", counts: { succeeded: 1, waiting: 2 } });

    expect((await t.find("waits"))?.message?.retentionMs).toBe(0);
    expect(await t.prune(1_000)).toBe(1);
    // Whoever runs it has its message, and writes that.
    await t.settle([settled.completed(running)]);
    expect((await t.find("runs"))?.message?.retentionMs).toBe(86_400_000);
  });

  it("are driven by one process at a time, and by another one when that lets go", async (t) => {
    await die(t, ["1", "2"]);
    const [one, other] = [lettersOf(t), lettersOf(t)];
    const { id } = await one.redrives.start(all(t), quick);
    await one.redrives.step(fail);
    expect(await one.redrives.get(id)).toMatchObject({ isDriven: true });

    await other.redrives.step(fail);
    const { driver } = await other.redrives.get(id);
    await one.redrives.release();
    await other.redrives.step(fail);

    expect((await other.redrives.get(id)).driver?.holder).not.toBe(driver?.holder);
    expect((await driven(t, other, id)).info).toMatchObject({ status: "done", counts: { succeeded: 2 } });
  });

  it("are cancelled at once though the process that drove them has just died", async (t) => {
    await die(t, ["1", "2"]);
    const [dead, other] = [lettersOf(t), lettersOf(t)];
    const { id } = await dead.redrives.start(all(t), quick);
    await until("it has chosen", async () => {
      await dead.redrives.step(fail);
      return (await dead.redrives.get(id)).counts.left === 2;
    });

    expect(await other.redrives.cancel(id)).toMatchObject({ status: "cancelled", phase: "ended" });
    expect((await other.redrives.plan(all(t))).tasks).toBe(2);
    await expect(other.redrives.cancel(id)).rejects.toMatchObject({ code: "REDRIVE_ENDED" });
  });

  it("stay cancelled when that happens while a step of theirs is under way, and a second cancel ends them", async (t) => {
    await die(t, ["1", "2"]);
    const store = t.broker.deadLetters!;
    const letters = lettersOf(t);
    const { id } = await letters.redrives.start(all(t), { ...quick, canary: 1 });
    let isCancelled = false;
    // As a cancel leaves it whose process died before it could end it.
    const driver = lettersWith(t, "noteRedriven", async () => {
      const { version, value } = (await store.readDocuments("redrive", [id]))[0]!;
      const redrive = { ...(value as object), status: "cancelled", phase: "ending" };
      if ((value as RedriveInfo).phase !== "canary" || (await t.stateOf("1")) !== "completed") return;
      await store.writeDocuments("redrive", [{ id, value: redrive, ifVersion: version }], t.at(0));
      isCancelled = true;
    });
    await until("it was cancelled", async () => {
      await driver.redrives.step(fail);
      await work(t, () => "completed");
      return isCancelled;
    });

    expect(await letters.redrives.get(id)).toMatchObject({ status: "cancelled", phase: "ending" });
    expect(await letters.redrives.cancel(id)).toMatchObject({ status: "cancelled", phase: "ended" });
    expect((await letters.redrives.plan(all(t))).tasks).toBe(1);
  });

  it("keep nothing that they choose when they have been cancelled", async (t) => {
    await die(t, ["1", "2"]);
    const letters = lettersOf(t);
    const { id } = await letters.redrives.start(all(t), quick);
    const driver = lettersWith(t, "chooseDead", async () => {
      expect(await letters.redrives.cancel(id)).toMatchObject({ phase: "ended" });
    });
    await driver.redrives.step(fail);

    expect(await letters.redrives.get(id)).toMatchObject({ status: "cancelled", phase: "ended" });
    expect((await letters.redrives.plan(all(t))).tasks).toBe(2);
  });

  it("stop themselves also when their process died before it could write that the first few had failed", async (t) => {
    await die(t, ["1", "2", "3", "4"]);
    const letters = lettersOf(t);
    const { id } = await letters.redrives.start(all(t), { ...quick, canary: 3 });
    let isDead = false;
    const doomed = lettersOf(t, dyingAfter(t, "noteRedriven", async () => {
      isDead = (await t.broker.deadLetters!.redriveStands(id, [t.queue], { limit: 1, round: 0 }, t.at(0)))[0]!.counts
        .failedSame === 3;
      return isDead;
    })); // prettier-ignore
    await until("it died with the ends noted", async () => {
      await doomed.redrives.step(() => undefined);
      await work(t, () => "same");
      return isDead;
    });
    await letGo(t, id);

    const { ran, info } = await driven(t, letters, id);

    expect(info).toMatchObject({
      status: "braked",
      phase: "canary",
      causes: { [Object.keys(info.causes)[0]!]: { ended: 3, failed: 3 } },
    });
    expect(ran).toEqual([]);
  });

  it("write nothing where nothing has changed, and are apart when they are over", async (t) => {
    await die(t, ["1"]);
    const letters = lettersOf(t);
    const { id } = await letters.redrives.start(all(t), quick);
    let writes = 0;
    const driver = lettersWith(t, "writeDocuments", async () => {
      writes += 1;
    });
    await until("it waits for its only one", async () => {
      await driver.redrives.step(fail);
      return (await letters.redrives.get(id)).phase === "watching";
    });
    writes = 0;
    for (let n = 0; n < 3; n += 1) await driver.redrives.step(fail);
    expect(writes).toBe(0);

    await driver.redrives.release();
    await driven(t, letters, id);
    const store = t.broker.deadLetters!;
    expect(await store.readDocuments("redrive", [id])).toEqual([]);
    const { counts } = await letters.redrives.get(id);
    expect(counts).toMatchObject({ succeeded: 1 });
    expect((await letters.redrives.list()).find((one) => one.id === id)).toMatchObject({ phase: "ended", counts });
  });

  it("stay over for who looks on, or drives them afterwards", async (t) => {
    await die(t, ["1"]);
    const [one, other] = [lettersOf(t), lettersOf(t)];
    const { id } = await one.redrives.start(all(t), quick);
    await one.redrives.cancel(id);

    expect(await other.redrives.drive(id)).toMatchObject({ phase: "ended", status: "cancelled" });
    await expect(other.redrives.drive("unknown")).rejects.toMatchObject({ code: "REDRIVE_NOT_FOUND" });
    const store = t.broker.deadLetters!;
    expect(await store.readDocuments("redrive", [id, "unknown"])).toEqual([]);

    const stray = { id, value: { driver: { holder: "another", untilMs: t.at(10_000) } }, ifVersion: 0 };
    await store.writeDocuments("redrive", [stray], t.at(0));
    expect(await one.redrives.get(id)).toMatchObject({ phase: "ended" });
    await one.redrives.start(all(t), quick);
    expect(await store.readDocuments("redrive", [id])).toEqual([]);
  });

  it("have what was refused not among the acts as if it were done", async (t) => {
    const letters = lettersOf(t);
    const recorded = async (id: string) => {
      const [acts = []] = await t.broker.audit.read([{ log: "" }], 100, true);
      const own = acts.filter(({ what }) => what === JSON.stringify({ redrive: id }));
      return own.map(({ verb }) => verb).toReversed();
    };
    const { id } = await letters.redrives.start(all(t), quick);
    await letters.redrives.cancel(id);
    await expect(letters.redrives.pause(id)).rejects.toMatchObject({ code: "REDRIVE_ENDED" });
    await expect(letters.redrives.pause("none")).rejects.toMatchObject({ code: "REDRIVE_NOT_FOUND" });
    expect(await recorded(id)).toEqual(["redrive start", "redrive cancel"]);
    expect(await recorded("none")).toEqual([]);

    const second = await letters.redrives.start(all(t), quick);
    // It ends between the look at it and the deed.
    const append: typeof t.broker.audit.append = async (acts, nowMs) => {
      await t.broker.audit.append(acts, nowMs);
      if (acts[0]?.verb === "redrive pause") await letters.redrives.cancel(second.id);
    };
    const late = lettersOf(t, changed(t.broker, "audit", changed(t.broker.audit, "append", append)));
    await expect(late.redrives.pause(second.id)).rejects.toMatchObject({ code: "REDRIVE_ENDED" });
    expect(await recorded(second.id)).toEqual([
      "redrive start", "redrive pause", "redrive cancel", "redrive pause refused",
    ]); // prettier-ignore
  });

  it("are not begun with more ids than are kept of one", async (t) => {
    const ids = Array.from({ length: 500 }, (_, n) => `${n}`.padEnd(200, "x"));
    const { redrives } = lettersOf(t);
    for (const refused of [redrives.plan({ queue: t.queue, ids }), redrives.start({ queue: t.queue, ids })])
      await expect(refused).rejects.toMatchObject({
        code: "OPTION_INVALID",
        message: expect.stringContaining("selection.ids") as string,
      });
  });

  it("do not take what another one has", async (t) => {
    await die(t, ["1", "2"]);
    const letters = lettersOf(t);
    const { id: first } = await letters.redrives.start({ queue: t.queue, ids: ["1"] }, quick);
    await until("it has chosen", async () => {
      await letters.redrives.step(fail);
      return (await letters.redrives.get(first)).phase !== "choosing";
    });

    expect(await letters.redrives.plan(all(t))).toMatchObject({ tasks: 1, ineligible: { redriving: 1 } });
  });

  it("tell of ids that are no dead letters", async (t) => {
    await die(t, ["1"]);
    await t.enqueue(["2"]);

    const plan = await lettersOf(t).redrives.plan({ queue: t.queue, ids: ["1", "2", "3"] });

    expect(plan).toMatchObject({ tasks: 1, ineligible: { notDead: 1, notFound: 1 } });
  });
});

describeBroker("running dead letters", ({ it }) => {
  it("runs a search's at once, with so many attempts and for such builds, and leaves the rest", async (t) => {
    await die(t, ["1", "2"]);
    await die(t, ["human"], { headers: { [sideEffectsHeader]: "needs-human" } });

    const result = await lettersOf(t).run(all(t), { attempts: 3, minBuild: "1.5" });

    expect(result).toMatchObject({ moved: 2, ineligible: { needsHuman: 1 }, all: true });
    const found = await t.find("1");
    expect(found).toMatchObject({ state: "pending", message: { maxRetry: 2, retentionMs: 0 } });
    expect(found?.message?.headers[minBuildHeader]).toBe("1.5");
    expect(await t.counts()).toEqual({ pending: 2, archived: 1 });
  });

  it("runs one by itself whatever is said against it", async (t) => {
    await die(t, ["human"], { headers: { [sideEffectsHeader]: "needs-human" } });

    expect(await lettersOf(t).run({ queue: t.queue, ids: ["human"] })).toMatchObject({ moved: 1 });
  });

  it("runs later, or in another queue", async (t) => {
    await die(t, ["1", "2"]);
    const to = t.queueNamed("fixup");
    const letters = lettersOf(t);

    expect(await letters.run({ queue: t.queue, ids: ["1"] }, { at: new Date(t.at(3_600_000)) })).toMatchObject({
      moved: 1,
    });
    expect(await letters.run(all(t), { queue: to, at: new Date(t.at(3_600_000)) })).toMatchObject({ moved: 1 });

    expect(await t.find("1")).toMatchObject({ state: "scheduled", dueAtMs: t.at(3_600_000) });
    expect(await t.find("2", to)).toMatchObject({ state: "scheduled", dueAtMs: t.at(3_600_000) });
    expect(await t.stateOf("2")).toBe("gone");
  });

  it("runs once in another queue, though the process died before it left its own and it has completed there", async (t) => {
    await die(t, ["1"], { retentionMs: 0 });
    const queue = t.queueNamed("fixup");
    const how = { queue, requestId: "the-same" };
    const dying = lettersWith(t, "moveDead", () => Promise.reject(new Error("the process has died")));
    await expect(dying.run({ queue: t.queue, ids: ["1"] }, how)).rejects.toThrow("the process has died");
    expect(await work(t, () => "completed", queue)).toEqual(["1"]);
    await t.prune(60_000);

    expect(await lettersOf(t).run({ queue: t.queue, ids: ["1"] }, how)).toMatchObject({ moved: 1 });
    expect(await work(t, () => "completed", queue)).toEqual([]);
    expect(await t.stateOf("1")).toBe("gone");
  });

  it("stops at its limit", async (t) => {
    await die(t, ["1", "2", "3"]);

    expect(await lettersOf(t).run(all(t), { limit: 2 })).toMatchObject({ moved: 2, all: false });
    expect(await t.counts()).toEqual({ pending: 2, archived: 1 });
  });
});
