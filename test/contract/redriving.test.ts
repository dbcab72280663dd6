import { expect } from "vitest";
import type { DeadMove, DeadMoving, RedriveNote } from "../../src/broker/redriving.js";
import { uniqueKey } from "../../src/core/message.js";
import { redriveLeftKey } from "../../src/redis/keys.js";
import { settled } from "../support/builders.js";
import { until } from "../support/until.js";
import { by, describeBroker, idsOf, type Trial } from "./describe-broker.js";

const store = (t: Trial) => t.broker.deadLetters!;
const keepMs = 86_400_000;

/** Dead letters, a second apart. */
async function die(t: Trial, ids: readonly string[], how: Parameters<Trial["task"]>[2] = {}): Promise<void> {
  await t.enqueue(ids.map((id) => t.task(id, {}, how)));
  for (const [n, task] of (await t.leaseAll()).entries()) await t.settle([settled.archived(task)], n * 1_000);
}

const choose = async (
  t: Trial,
  ids: readonly string[],
  { redrive = "r1", dry = false, mayOnce = false, most = 10 } = {},
) => {
  const found = await t.broker.find(ids.map((id) => ({ queue: t.queue, id })));
  const tasks = ids.map((id, n) => ({ id, atMs: found[n]?.archivedAtMs ?? 0 }));
  const receipts = await store(t).chooseDead(redrive, t.queue, tasks, { dry, mayOnce, mostRedrives: most }, t.at(0));
  return receipts.map(({ status, holder }) => (holder === undefined ? status : `${status} ${holder}`));
};

async function movesOf(t: Trial, ids: readonly string[]): Promise<DeadMove[]> {
  const found = await t.broker.find(ids.map((id) => ({ queue: t.queue, id })));
  return ids.map((id, n) => {
    const bytes = found[n]?.bytes ?? new Uint8Array(0);
    // One more field, so that it can be seen which message is stored.
    return { id, expected: bytes, message: Buffer.concat([bytes, Buffer.from([5 << 3, 7])]), mark: `{"of":"${id}"}` };
  });
}

const move = async (t: Trial, moves: readonly DeadMove[], how: Partial<DeadMoving> & { redrive?: string } = {}) => {
  const { redrive = "r1", ...rest } = how;
  const moving: DeadMoving = {
    to: "pending",
    attempts: 1,
    mostRedrives: 10,
    lookAtMs: t.at(60_000),
    verb: "redrive",
    ...rest,
  };
  const receipts = await store(t).moveDead(redrive, t.queue, moves, moving, by, t.at(50_000));
  return receipts.map(({ status }) => status);
};

const note = (t: Trial, ...notes: (Partial<RedriveNote> & { id: string; became: RedriveNote["became"] })[]) =>
  store(t).noteRedriven(
    "r1",
    t.queue,
    notes.map((one) => ({ mark: "", cause: "", ...one })),
    0,
  );
const stand = async (t: Trial, ms = 0, limit = 10) => {
  const [found] = await store(t).redriveStands("r1", [t.queue], { limit, round: 0 }, t.at(ms));
  return found!;
};
const none = { left: 0, waiting: 0, succeeded: 0, failedSame: 0, failedOther: 0, gone: 0, notMoved: 0 };

describeBroker("redriving", ({ it }) => {
  it("chooses dead letters, the oldest first, and once", async (t) => {
    await die(t, ["1", "2", "3"]);
    await t.enqueue(["pending"]);

    expect(await choose(t, ["3", "1", "2", "pending", "none"])).toEqual([
      "chosen", "chosen", "chosen", "notDead", "notFound",
    ]); // prettier-ignore
    expect(await choose(t, ["2"])).toEqual(["chosen"]);

    const { left, due, counts } = await stand(t);
    expect(left.map(({ id }) => id)).toEqual(["1", "2", "3"]);
    expect(left[0]?.atMs).toBe(t.at(0));
    expect(due).toEqual([]);
    expect(counts).toEqual({ ...none, left: 3 });
    expect((await stand(t, 0, 2)).left).toHaveLength(2);
  });

  it("says which it would choose, and changes nothing", async (t) => {
    await die(t, ["1"]);

    expect(await choose(t, ["1", "none"], { dry: true })).toEqual(["chosen", "notFound"]);

    expect((await stand(t)).counts).toEqual(none);
    expect(await choose(t, ["1"], { redrive: "r2" })).toEqual(["chosen"]);
  });

  it("leaves what is to run at most once, unless it is asked for", async (t) => {
    await die(t, ["1"], { atMostOnce: true });

    expect(await choose(t, ["1"])).toEqual(["atMostOnce"]);
    expect(await choose(t, ["1"], { mayOnce: true })).toEqual(["chosen"]);
  });

  it("leaves to another redrive what that has, until it has ended", async (t) => {
    await die(t, ["1", "2"]);
    await choose(t, ["1"]);

    expect(await choose(t, ["1", "2"], { redrive: "r2" })).toEqual(["redriving", "chosen"]);
    expect(await move(t, await movesOf(t, ["1"]), { redrive: "" })).toEqual(["redriving"]);
    await store(t).endRedrive("r1", t.queue, t.at(0), keepMs);

    expect(await choose(t, ["1"], { redrive: "r2" })).toEqual(["chosen"]);
    expect(await move(t, await movesOf(t, ["1"]))).toEqual(["redriving"]);
    expect((await stand(t)).counts).toEqual({ ...none, left: 1 });
  });

  it("keeps what is chosen for a redrive when that is over from no other one", async (t) => {
    await die(t, ["1", "2"]);
    await store(t).endRedrive("r1", t.queue, t.at(0), keepMs);
    await choose(t, ["1"]);
    await choose(t, ["2"], { redrive: "r2" });
    await store(t).endRedrive("r2", t.queue, t.at(0), keepMs);
    await choose(t, ["2"], { redrive: "r2" });

    // Nor does that stay for good where storage forgets by itself.
    const left = await t.storage.server?.(t.queue).pttl(redriveLeftKey(t.queue, "r1"));
    expect(left ?? keepMs).toBeGreaterThan(0);
    expect(await choose(t, ["1", "2"], { redrive: "r3" })).toEqual(["chosen", "chosen"]);
    expect((await store(t).redrivenTasks("r3", t.queue, { limit: 10 })).items).toEqual([]);
    expect(await move(t, await movesOf(t, ["1", "2"]), { redrive: "" })).toEqual(["redriving", "redriving"]);
  });

  it("moves each once, with its new message, and awaits it", async (t) => {
    await die(t, ["1", "2", "3"]);
    await choose(t, ["1", "2"]);
    const moves = await movesOf(t, ["1", "2", "3", "1"]);

    expect(await move(t, moves)).toEqual(["moved", "moved", "done", "done"]);
    expect(await move(t, moves)).toEqual(["done", "done", "done", "done"]);

    expect(await t.counts()).toEqual({ pending: 2, archived: 1 });
    expect((await t.info(58_000))?.latencyMs).toBe(8_000);
    expect((await t.find("1"))?.message?.maxRetry).toBe(7);
    expect((await stand(t, 59_999)).due).toEqual([]);
    const { left, due, counts } = await stand(t, 60_000);
    expect({ left, due, counts }).toEqual({
      left: [],
      due: [
        { id: "1", mark: '{"of":"1"}' },
        { id: "2", mark: '{"of":"2"}' },
      ],
      counts: { ...none, waiting: 2 },
    });
    expect(idsOf(await t.leaseAll({}, 60_000))).toEqual(["1", "2"]);
  });

  it("takes what it moves out of its failure group", async (t) => {
    await die(t, ["1", "2"]);
    await store(t).indexDeadLetters([t.queue], 100, t.at(0), true);
    await choose(t, ["1"]);

    await move(t, await movesOf(t, ["1"]));

    const [found] = await store(t).failureGroups([t.queue], t.at(0));
    expect(found).toMatchObject({ unindexed: 0, groups: [{ count: 1 }] });
  });

  it("moves without a redrive, now or later, and keeps nothing of it", async (t) => {
    await die(t, ["1", "2"]);

    expect(await move(t, await movesOf(t, ["1", "none"]), { redrive: "" })).toEqual(["moved", "notFound"]);
    expect(
      await move(t, await movesOf(t, ["2"]), { redrive: "", to: "scheduled", dueMs: t.at(90_000), verb: "run" }),
    ).toEqual(["moved"]);

    expect(await t.counts()).toEqual({ pending: 1, scheduled: 1 });
    expect((await t.find("2"))?.dueAtMs).toBe(t.at(90_000));
    expect(await t.promote(90_000)).toMatchObject({ moved: 1 });
    expect((await stand(t)).counts).toEqual(none);
  });

  it("takes out of a queue what another one has, with its lock", async (t) => {
    const lock = uniqueKey(t.queue, "test:plain", null);
    const unique = (id: string) => t.task(id, { uniqueKey: lock }, { uniqueForMs: 600_000 });
    await t.enqueue([unique("1")]);
    await t.settle([settled.archived(await t.leaseOne())]);
    await choose(t, ["1"]);

    expect(await move(t, await movesOf(t, ["1"]), { to: "away" })).toEqual(["moved"]);

    expect(await t.stateOf("1")).toBe("gone");
    expect((await stand(t)).counts).toEqual({ ...none, waiting: 1 });
    expect(await t.enqueue([unique("2")])).toMatchObject([{ status: "enqueued" }]);
  });

  it("does not move what has changed meanwhile, or is somewhere else", async (t) => {
    await die(t, ["1", "2", "3"]);
    await choose(t, ["1", "2", "3"]);
    const moves = await movesOf(t, ["1", "2", "3"]);
    await t.move(["1"], "pending");
    await t.move(["3"], "deleted");
    const other = { ...moves[1]!, expected: Buffer.from("other") };

    expect(await move(t, [moves[0]!, other, moves[2]!])).toEqual(["notDead", "changed", "notFound"]);

    expect(await t.counts()).toEqual({ pending: 1, archived: 1 });
    expect((await stand(t)).counts).toEqual({ ...none, left: 3 });
  });

  it("names who holds the lock of one, which it no longer has itself", async (t) => {
    const lock = uniqueKey(t.queue, "test:plain", null);
    const unique = (id: string) => t.task(id, { uniqueKey: lock }, { uniqueForMs: 1_000 });
    await t.enqueue([unique("1")]);
    await t.settle([settled.archived(await t.leaseOne())]);
    expect(await choose(t, ["1"], { dry: true })).toEqual(["chosen"]);
    // Redis lets go of it by its own clock.
    await until("the lock is free", async () => (await t.enqueue([unique("2")], 2_000))[0]?.status === "enqueued");

    const tasks = [{ id: "1", atMs: t.at(0) }];
    const how = { dry: true, mayOnce: false, mostRedrives: 10 };
    expect(await store(t).chooseDead("r1", t.queue, tasks, how, t.at(2_500))).toEqual([
      { status: "conflict", holder: "2" },
    ]);
  });

  it("bounds how often a task is run again", async (t) => {
    await die(t, ["1"]);
    for (const redrive of ["a", "b"]) {
      expect(await choose(t, ["1"], { redrive, most: 2 })).toEqual(["chosen"]);
      expect(await move(t, await movesOf(t, ["1"]), { redrive })).toEqual(["moved"]);
      await t.settle([settled.archived(await t.leaseOne())]);
      await store(t).endRedrive(redrive, t.queue, t.at(0), keepMs);
    }

    expect(await choose(t, ["1"], { most: 2 })).toEqual(["bound"]);
    expect(await move(t, await movesOf(t, ["1"]), { redrive: "", mostRedrives: 2 })).toEqual(["bound"]);
    expect(await choose(t, ["1"], { most: 3 })).toEqual(["chosen"]);
  });

  it("lets a task of which workers died take down as many as it has attempts", async (t) => {
    await t.enqueue(["1"]);
    for (const ms of [0, 10_000, 20_000]) {
      await t.leaseOne({ leaseMs: 5_000 }, ms);
      await t.reclaim(ms + 6_000);
    }
    expect(await t.find("1")).toMatchObject({ state: "archived", crashes: 3 });

    expect(await move(t, await movesOf(t, ["1"]), { redrive: "", attempts: 2 })).toEqual(["moved"]);

    expect((await t.find("1"))?.crashes).toBe(1);
  });

  it("notes each end once, and tells what became of each", async (t) => {
    await die(t, ["1", "2", "3"]);
    await choose(t, ["1", "2", "3"]);
    await move(t, await movesOf(t, ["1", "2"]));

    await note(
      t,
      { id: "1", became: "succeeded", mark: "fine" },
      { id: "2", became: "waiting", lookAtMs: t.at(90_000) },
    );
    await note(t, { id: "1", became: "failedSame" }, { id: "3", became: "failedOther" });
    await note(t, { id: "3", became: "notMoved", mark: "why not" });

    expect((await stand(t, 89_999)).due).toEqual([]);
    const { left, due, counts } = await stand(t, 90_000);
    expect([left, due.map(({ id }) => id)]).toEqual([[], ["2"]]);
    expect(counts).toEqual({ ...none, waiting: 1, succeeded: 1, notMoved: 1 });
    const { items, next } = await store(t).redrivenTasks("r1", t.queue, { limit: 10 });
    expect(next).toBeUndefined();
    expect(items.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
      { id: "1", became: "succeeded", mark: "fine" },
      { id: "2", became: "waiting", mark: '{"of":"2"}' },
      { id: "3", became: "notMoved", mark: "why not" },
    ]);
  });

  it("counts ends by cause in the step in which it notes them, and from nothing in a later round", async (t) => {
    const ids = ["1", "2", "3", "4", "5"];
    await die(t, ids);
    await choose(t, ids);
    await move(t, await movesOf(t, ids));
    const causes = async (round: number, queue = t.queue) =>
      (await store(t).redriveStands("r1", [t.queueNamed("none"), queue], { limit: 1, round }, t.at(0)))[1]?.causes;
    const end = (round: number, id: string, became: RedriveNote["became"], cause: string) =>
      store(t).noteRedriven("r1", t.queue, [{ id, became, mark: "", cause }], round);

    await end(0, "1", "failedSame", "a");
    await end(0, "1", "failedSame", "a");
    await end(0, "2", "succeeded", "a");
    expect(await causes(0)).toEqual({ a: { ended: 2, failed: 1 } });
    await end(1, "3", "failedOther", "b");
    // Of one that has not seen yet that it was resumed.
    await end(0, "4", "failedSame", "a");
    await end(1, "5", "gone", "");

    expect(await causes(1)).toEqual({ b: { ended: 1, failed: 1 } });
    expect(await causes(2)).toEqual({});
    expect((await stand(t)).counts).toEqual({ ...none, failedSame: 2, failedOther: 1, succeeded: 1, gone: 1 });
  });

  it("gives a task back what it was changed for", async (t) => {
    await t.enqueue(["done", "dead"].map((id) => t.task(id, { retentionMs: 3_600_000 })));
    const [done, dead] = await t.leaseAll();
    await t.settle([settled.completed(done!), settled.archived(dead!)]);
    const [completed, archived] = await Promise.all(["done", "dead"].map(async (id) => (await t.find(id))!.bytes));
    const message = Buffer.concat([archived!, Buffer.from([5 << 3, 9])]);

    const other = Buffer.from("other");
    await note(
      t,
      { id: "done", became: "", fix: { expected: other, untilMs: t.at(1_000) } },
      { id: "dead", became: "", fix: { expected: other, message } },
    );
    expect([await t.prune(2_000), (await t.find("dead"))?.message?.maxRetry]).toEqual([0, 25]);
    await note(
      t,
      { id: "done", became: "", fix: { expected: completed!, untilMs: t.at(1_000) } },
      { id: "dead", became: "", fix: { expected: archived!, message } },
    );

    expect([await t.prune(2_000), (await t.find("dead"))?.message?.maxRetry]).toEqual([1, 9]);
    expect(await t.stateOf("done")).toBe("gone");
  });

  it("takes more than one step can", async (t) => {
    const ids = Array.from({ length: 1_100 }, (_, n) => `${n}`);
    await t.enqueue(ids);
    await t.move(ids, "archived");

    expect(new Set(await choose(t, ids))).toEqual(new Set(["chosen"]));
    const moves = await movesOf(t, ids);

    expect(new Set(await move(t, moves))).toEqual(new Set(["moved"]));
    expect(await t.counts()).toEqual({ pending: 1_100 });
  });
});
