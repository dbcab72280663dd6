import { expect } from "vitest";
import { uniqueKey } from "../../src/core/message.js";
import { settled } from "../support/builders.js";
import { by, describeBroker, type Trial } from "./describe-broker.js";

const bytes = (text: string) => Buffer.from(text);

describeBroker("another payload", ({ it }) => {
  const update = (t: Trial, id: string, text: string, ms = 0) =>
    t.broker.updatePayload({ queue: t.queue, id }, bytes(text), by, t.at(ms));
  const payloadOf = async (t: Trial, id: string) => String(Buffer.from((await t.find(id))!.message!.payload));

  it("is for tasks that wait: pending, scheduled or in retry", async (t) => {
    await t.enqueue(["completed", "archived", "retry", "active"].map((id) => t.task(id, { retentionMs: 60_000 })));
    const [completed, archived, retry] = await t.lease();
    await t.settle([settled.completed(completed!), settled.archived(archived!), settled.retry(retry!, t.at(50_000))]);
    await t.enqueue(["pending", t.task("scheduled", {}, { processAtMs: t.at(90_000) })]);

    for (const state of ["pending", "scheduled", "retry"]) {
      expect([state, await update(t, state, "new")]).toEqual([state, "updated"]);
      expect([await t.stateOf(state), await payloadOf(t, state)]).toEqual([state, "new"]);
    }
    for (const state of ["active", "archived", "completed"]) {
      expect([state, await update(t, state, "new")]).toEqual([state, "wrongState"]);
      expect([await t.stateOf(state), await payloadOf(t, state)]).toEqual([state, ""]);
    }
    expect(await update(t, "nobody", "new")).toBe("notFound");
  });

  it("leaves all else of the message as it is, and the task where it is", async (t) => {
    await t.enqueue([
      t.task("1", { payload: bytes("old"), headers: { a: "b" }, maxRetry: 7, retried: 2, lastError: "boom" }),
      "2",
    ]);
    const before = (await t.find("1"))!.message!;

    await update(t, "1", "new");

    expect({ ...(await t.find("1"))!.message!, payload: null }).toEqual({ ...before, payload: null });
    expect((await t.leaseOne()).lease.id).toBe("1");
  });

  const unique = (t: Trial, id: string, text: string) =>
    t.task(
      id,
      { payload: bytes(text), uniqueKey: uniqueKey(t.queue, "test:plain", bytes(text)) },
      { uniqueForMs: 600_000 },
    );

  it("takes the unique lock along: the old payload is free, the new one is not", async (t) => {
    await t.enqueue([unique(t, "1", "old")]);

    expect(await update(t, "1", "new")).toBe("updated");

    expect(await t.enqueue([unique(t, "2", "new"), unique(t, "3", "old")])).toEqual([
      { status: "duplicate", id: "1" },
      { status: "enqueued", id: "3", state: "pending" },
    ]);
    await t.settle([settled.completed(await t.leaseOne())]);
    expect(await t.enqueue([unique(t, "4", "new")])).toMatchObject([{ status: "enqueued" }]);
  });

  it("is refused while another task holds the lock of it", async (t) => {
    await t.enqueue([unique(t, "1", "old"), unique(t, "2", "taken")]);

    expect(await update(t, "1", "taken")).toBe("duplicate");

    expect(await payloadOf(t, "1")).toBe("old");
    expect(await t.enqueue([unique(t, "3", "old"), unique(t, "4", "taken")])).toEqual([
      { status: "duplicate", id: "1" },
      { status: "duplicate", id: "2" },
    ]);
  });

  it("may be the same as before", async (t) => {
    await t.enqueue([unique(t, "1", "same")]);

    expect(await update(t, "1", "same")).toBe("updated");
    expect(await t.enqueue([unique(t, "2", "same")])).toEqual([{ status: "duplicate", id: "1" }]);
  });

  it("from many at once is one of theirs, with its own lock and no other", async (t) => {
    await t.enqueue([unique(t, "1", "old")]);
    const texts = ["a", "b", "c", "d", "e"];

    expect(await Promise.all(texts.map((text) => update(t, "1", text)))).toEqual(texts.map(() => "updated"));

    const last = await payloadOf(t, "1");
    expect(texts).toContain(last);
    const receipts = await t.enqueue(["old", ...texts].map((text) => unique(t, `of-${text}`, text)));
    expect(receipts.filter(({ status }) => status === "duplicate")).toEqual([{ status: "duplicate", id: "1" }]);
    expect(receipts[1 + texts.indexOf(last)]).toEqual({ status: "duplicate", id: "1" });
  });

  it(
    "is not for a message that cannot be decoded",
    async (t) => {
      await t.enqueue(["1"]);
      await t.storage.damage({ queue: t.queue, id: "1" }, bytes("\u0007"));

      expect(await update(t, "1", "new")).toBe("wrongState");
    },
    { needs: "damage" },
  );
});
