import { expect } from "vitest";
import { encodeMessage } from "../../src/core/codec.js";
import { uniqueKey } from "../../src/core/message.js";
import { settled } from "../support/builders.js";
import { by, describeBroker, type Trial } from "./describe-broker.js";

const day = 86_400_000;
const store = (t: Trial) => t.broker.deadLetters!;
const discard = (t: Trial, ids: readonly string[], ms = 0, keepMs = day) =>
  store(t).discard(t.queue, ids, t.at(ms + keepMs), by, t.at(ms));
const restore = (t: Trial, ids: readonly string[], ms = 0) => store(t).restore(t.queue, ids, by, t.at(ms));
const inTrash = async (t: Trial) => (await store(t).listTrash(t.queue, { limit: 500 })).items;
const trashIds = async (t: Trial) => (await inTrash(t)).map(({ task }) => task.id);

/** Dead letters, as a worker leaves them. */
async function dead(t: Trial, ids: readonly string[], ms = 0): Promise<void> {
  await t.enqueue(
    ids.map((id) => t.task(id, { payload: Buffer.from(`{"of":"${id}"}`), maxRetry: 0 })),
    ms,
  );
  await t.settle(
    (await t.leaseAll({}, ms)).map((task) => settled.archived(task)),
    ms,
  );
}

describeBroker("the trash", ({ it }) => {
  it("takes dead letters out of their queue, and says who did it, why and until when", async (t) => {
    await dead(t, ["a", "b"], 5_000);

    expect(await discard(t, ["a", "nobody", "a"], 9_000)).toEqual(["discarded", "notFound", "notFound"]);

    expect(await t.stateOf("a")).toBe("gone");
    expect(await t.counts()).toEqual({ archived: 1 });
    expect(await inTrash(t)).toMatchObject([
      {
        task: {
          id: "a",
          queue: t.queue,
          archivedAtMs: t.at(5_000),
          failure: { message: "boom" },
          message: { retried: 0 },
        },
        discarded: { atMs: t.at(9_000), actor: by.actor, reason: by.reason },
        untilMs: t.at(9_000 + day),
      },
    ]);
  });

  it("gives them back as they were: bytes, failure and age, with a mark", async (t) => {
    await dead(t, ["a"], 5_000);
    const before = (await t.find("a"))!;
    await discard(t, ["a"], 9_000);

    expect(await restore(t, ["a", "a", "nobody"], 20_000)).toEqual([
      "restored",
      expect.stringMatching(/^(notFound|idTaken)$/),
      "notFound",
    ]);

    const after = (await t.find("a"))!;
    expect(after).toEqual({
      ...before,
      restored: { atMs: t.at(20_000), actor: by.actor, reason: by.reason },
    });
    expect(Buffer.compare(after.bytes, before.bytes)).toBe(0);
    expect([await t.counts(), await trashIds(t)]).toEqual([{ archived: 1 }, []]);
    await t.move(["a"], "pending");
    expect((await t.leaseOne()).message.payload.toString()).toBe('{"of":"a"}');
  });

  it("is for dead letters alone", async (t) => {
    await t.enqueue(["active", "pending", t.task("later", {}, { processAtMs: t.at(90_000) })]);
    await t.lease({ limit: 1 });

    expect(await discard(t, ["active", "pending", "later"])).toEqual(["wrongState", "wrongState", "wrongState"]);
    expect(await t.counts()).toEqual({ active: 1, pending: 1, scheduled: 1 });
  });

  it("overwrites nothing: of two tasks with one id each keeps its place", async (t) => {
    await dead(t, ["a"]);
    await discard(t, ["a"]);
    await dead(t, ["a"], 60_000);

    expect(await discard(t, ["a"], 61_000)).toEqual(["idTaken"]);
    expect(await restore(t, ["a"], 61_000)).toEqual(["idTaken"]);
    expect([await t.stateOf("a"), await trashIds(t)]).toEqual(["archived", ["a"]]);
  });

  it("releases the unique lock, and takes it again on the way back, for as long as it would have held", async (t) => {
    const lock = uniqueKey(t.queue, "test:plain", null);
    const unique = (id: string) => t.task(id, { uniqueKey: lock, maxRetry: 0 }, { uniqueForMs: 600_000 });
    await t.enqueue([unique("a")]);
    await t.settle([settled.archived(await t.leaseOne())]);
    expect(await t.enqueue([unique("b")])).toMatchObject([{ status: "duplicate" }]);

    await discard(t, ["a"], 1_000);
    expect(await t.enqueue([unique("b")], 1_000)).toMatchObject([{ status: "enqueued" }]);
    expect(await restore(t, ["a"], 2_000)).toEqual(["withoutLock"]);
    await t.move(["b"], "deleted");
    expect(await t.enqueue([unique("c")], 3_000)).toMatchObject([{ status: "enqueued" }]);
    await t.move(["c"], "deleted");

    await t.enqueue([unique("d")], 4_000);
    await t.move(["d"], "archived");
    await discard(t, ["d"], 5_000);
    expect(await restore(t, ["d"], 6_000)).toEqual(["restored"]);
    expect(await t.enqueue([unique("e")], 6_000)).toEqual([{ status: "duplicate", id: "d" }]);
    await discard(t, ["d"], 7_000);
    expect(await restore(t, ["d"], 700_000)).toEqual(["restored"]);
    expect(await t.enqueue([unique("e")], 700_000)).toMatchObject([{ status: "enqueued" }]);
  });

  it("is emptied of what is past its time, no more than `limit` at once", async (t) => {
    await dead(t, ["a", "b", "c", "late"]);
    await discard(t, ["a", "b", "c"], 0, 60_000);
    await discard(t, ["late"], 0, 120_000);
    const prune = (ms: number) => t.broker.prune([t.queue], 2, t.at(ms));

    expect(await prune(59_000)).toBe(0);
    expect(await prune(60_000)).toBe(2);
    expect(await prune(60_000)).toBe(1);
    expect(await prune(60_000)).toBe(0);
    expect(await trashIds(t)).toEqual(["late"]);
    expect(await restore(t, ["a"], 61_000)).toEqual(["notFound"]);
  });

  it("lets go of what is to be gone now", async (t) => {
    await dead(t, ["a", "b"]);
    await discard(t, ["a", "b"]);

    expect(await store(t).purge(t.queue, ["a", "a", "nobody"], by, t.at(0))).toEqual([
      "purged",
      "notFound",
      "notFound",
    ]);
    expect(await trashIds(t)).toEqual(["b"]);
    expect(await restore(t, ["a"])).toEqual(["notFound"]);
  });

  it("is told page by page, what goes first first", async (t) => {
    const ids = ["a", "b", "c", "d", "e"];
    await dead(t, ids);
    for (const [n, id] of ids.toReversed().entries()) await discard(t, [id], 0, day + n * 1_000);
    const page = (cursor?: string, backwards = false) => store(t).listTrash(t.queue, { limit: 2, cursor, backwards });
    const told = ({ items }: Awaited<ReturnType<typeof page>>) => items.map(({ task }) => task.id);

    const first = await page();
    const second = await page(first.next);
    const third = await page(second.next);
    expect([told(first), told(second), told(third)]).toEqual([["e", "d"], ["c", "b"], ["a"]]);
    expect([first.previous, third.next]).toEqual([undefined, undefined]);
    expect(told(await page(third.previous, true))).toEqual(["c", "b"]);
    expect(told(await page(undefined, true))).toEqual(["b", "a"]);
  });

  it("takes more than one script does", async (t) => {
    const ids = Array.from({ length: 1_100 }, (_, n) => `${n}`);
    await dead(t, ids);

    expect(await discard(t, ids)).toEqual(ids.map(() => "discarded"));
    expect(await t.counts()).toEqual({});
    expect(await restore(t, ids)).toEqual(ids.map(() => "restored"));
    expect(await t.counts()).toEqual({ archived: 1_100 });
  });

  it(
    "keeps a message that nobody can read, too",
    async (t) => {
      await dead(t, ["a"]);
      await t.storage.damage({ queue: t.queue, id: "a" }, Buffer.from([0xff, 0xff]));

      expect(await discard(t, ["a"])).toEqual(["discarded"]);
      expect(await inTrash(t)).toMatchObject([{ task: { id: "a", message: undefined } }]);
      expect(await restore(t, ["a"])).toEqual(["restored"]);
      expect(Buffer.from((await t.find("a"))!.bytes).toString("hex")).toBe("ffff");
    },
    { needs: "damage" },
  );

  it("goes with its queue, which is not empty while it holds something", async (t) => {
    await dead(t, ["a", "b", "c"]);
    await discard(t, ["a", "b", "c"]);
    const drop = (force: boolean) => t.broker.dropQueue(t.queue, { force, limit: 2 }, by, t.at(0));

    expect(await drop(false)).toBe("notEmpty");
    let receipt = await drop(true);
    expect(receipt).toBe("more");
    while (receipt === "more") receipt = await drop(true);
    expect(receipt).toBe("dropped");
    expect(await restore(t, ["a", "b", "c"])).toEqual(["notFound", "notFound", "notFound"]);
    await dead(t, ["a"]);
    expect(await trashIds(t)).toEqual([]);
  });
});

describeBroker("dead letters as they are stored", ({ it }) => {
  it("are read whole and put back byte for byte, with all that is known of them", async (t) => {
    await dead(t, ["a"], 5_000);
    await store(t).acknowledge(t.queue, ["a"], true, by, t.at(6_000));
    const before = await t.find("a");
    const [letter, none] = await store(t).readLetters([
      { queue: t.queue, id: "a" },
      { queue: t.queue, id: "nobody" },
    ]);
    expect(none).toBeUndefined();
    await t.move(["a"], "deleted");

    expect(await store(t).adoptLetters([letter!, letter!], by, t.at(90_000))).toEqual(["adopted", "exists"]);

    expect(await t.find("a")).toEqual(before);
    expect(await t.counts()).toEqual({ archived: 1 });
    expect(await store(t).readLetters([{ queue: t.queue, id: "a" }])).toEqual([letter]);
    await t.move(["a"], "pending");
    expect((await t.leaseOne()).message.payload.toString()).toBe('{"of":"a"}');
  });

  it("leave alone what is there, be it in the trash", async (t) => {
    await dead(t, ["a", "b"]);
    const letters = await store(t).readLetters(["a", "b"].map((id) => ({ queue: t.queue, id })));
    await discard(t, ["a"]);
    await t.move(["b"], "pending");

    expect(await store(t).readLetters([{ queue: t.queue, id: "b" }])).toEqual([undefined]);
    expect(
      await store(t).adoptLetters(
        letters.map((one) => one!),
        by,
        t.at(0),
      ),
    ).toEqual(["exists", "exists"]);
    expect([await t.stateOf("a"), await t.stateOf("b"), await trashIds(t)]).toEqual(["gone", "pending", ["a"]]);
  });

  it("come to queues that there are not, and keep what was counted of them", async (t) => {
    const queues = [t.queueNamed("one"), t.queueNamed("two")];
    const letters = queues.flatMap((queue) =>
      ["x", "y"].map((id) => ({
        queue,
        id,
        archivedAtMs: t.at(-5_000),
        message: encodeMessage(t.task(id, { queue, maxRetry: 3, retried: 3 }).message),
        fields: new Map([
          ["crashes", Buffer.from("2")],
          ["effect:mail", Buffer.from('d"sent"')],
        ]),
      })),
    );

    expect(await store(t).adoptLetters(letters, by, t.at(0))).toEqual(letters.map(() => "adopted"));

    for (const queue of queues) {
      expect((await t.info(0, queue))?.counts.archived).toBe(2);
      expect(await t.find("x", queue)).toMatchObject({
        crashes: 2,
        archivedAtMs: t.at(-5_000),
        message: { retried: 3 },
      });
    }
    const again = await store(t).readLetters(letters);
    const texts = (fields: ReadonlyMap<string, Uint8Array>) =>
      Object.fromEntries(Array.from(fields, ([name, value]) => [name, String(Buffer.from(value))]));
    expect(again.map((one) => texts(one!.fields))).toEqual(letters.map(({ fields }) => texts(fields)));
  });
});

describeBroker("marks on dead letters", ({ it }) => {
  it("say who looks after them, until they are taken back", async (t) => {
    await dead(t, ["a"]);
    await t.enqueue(["waits"]);
    const acknowledge = (on: boolean) => store(t).acknowledge(t.queue, ["a", "waits", "nobody"], on, by, t.at(5_000));

    expect(await acknowledge(true)).toEqual(["acknowledged", "wrongState", "notFound"]);
    expect((await t.find("a"))?.acknowledged).toEqual({ atMs: t.at(5_000), actor: by.actor, reason: by.reason });
    expect(await acknowledge(false)).toEqual(["acknowledged", "wrongState", "notFound"]);
    expect((await t.find("a"))?.acknowledged).toBeUndefined();
  });

  it("hold until the task dies anew", async (t) => {
    await dead(t, ["a"]);
    await store(t).acknowledge(t.queue, ["a"], true, by, t.at(0));
    expect((await t.find("a"))?.acknowledged).toBeDefined();

    await t.move(["a"], "pending", { ms: 10_000 });
    await t.settle([settled.archived(await t.leaseOne({}, 10_000))], 10_000);

    expect(await t.stateOf("a")).toBe("archived");
    expect((await t.find("a"))?.acknowledged).toBeUndefined();
  });

  it("tell of copies: one for each request, and none of one that was refused", async (t) => {
    await dead(t, ["a"]);
    const of = { queue: t.queue, id: "a" };
    const copy = (id: string) => ({ queue: "elsewhere", id, digest: `digest of ${id}` });
    const begin = (id: string, requestId: string) =>
      store(t).beginCopy(of, copy(id), { ...by, requestId }, t.at(1_000));

    expect(await begin("c1", "r1")).toEqual({ status: "begun" });
    expect(await begin("c2", "r1")).toMatchObject({
      status: "known",
      copy: { ...copy("c1"), request: "r1", actor: by.actor, reason: by.reason },
    });
    await store(t).endCopy(of, true, { ...by, requestId: "r1" }, t.at(2_000));
    expect(await begin("c3", "r1")).toMatchObject({ status: "known", copy: { id: "c1", done: true } });
    expect(await begin("c4", "r2")).toEqual({ status: "begun" });
    await store(t).endCopy(of, false, { ...by, requestId: "r2" }, t.at(2_000));

    expect((await t.find("a"))?.copies).toEqual([
      { queue: "elsewhere", id: "c1", atMs: t.at(1_000), actor: by.actor, reason: by.reason },
    ]);
    expect(await begin("c5", "r2")).toEqual({ status: "begun" });
    await t.enqueue(["waits"]);
    expect(await store(t).beginCopy({ ...of, id: "waits" }, copy("c"), by, t.at(0))).toEqual({ status: "wrongState" });
    expect(await store(t).beginCopy({ ...of, id: "nobody" }, copy("c"), by, t.at(0))).toEqual({ status: "notFound" });
  });

  it("know of the newest copies, so many at the most", async (t) => {
    await dead(t, ["a"]);
    for (let n = 0; n < 53; n++) {
      const copy = { queue: t.queue, id: `c${n}`, digest: "" };
      await store(t).beginCopy({ queue: t.queue, id: "a" }, copy, { ...by, requestId: `r${n}` }, t.at(n));
    }

    const copies = (await t.find("a"))!.copies!;
    expect([copies.length, copies[0]!.id, copies.at(-1)!.id]).toEqual([50, "c3", "c52"]);
  });
});
