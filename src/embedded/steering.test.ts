import { beforeEach, describe, expect, it } from "vitest";
import type { Lease } from "../broker/broker.js";
import type { MoveSelection, MoveTarget } from "../broker/roles.js";
import { uniqueKey } from "../core/message.js";
import {
  all,
  ask,
  by,
  database,
  enqueue,
  lease,
  openStore,
  reclaim,
  row,
  settle,
  t0,
} from "../../test/support/embedded-store.js";
import { pack } from "./packed.js";

beforeEach(openStore);

describe("steering and inspecting the embedded store", () => {
  it("keeps who did what to a queue, the last 10,000 acts, also when the queue is gone", () => {
    enqueue([row("a"), row("b"), row("c", { processAtMs: t0 + 9_000 })]);
    const moveTo = (to: MoveTarget, selection: MoveSelection) =>
      ask("move", { selection, to, by, limit: 10, attempts: 1, cursor: undefined, nowMs: t0 });
    moveTo("archived", { queue: "default", ids: ["a", "none"] });
    moveTo("archived", { queue: "default", ids: ["none"] });
    moveTo("pending", { queue: "default", state: "scheduled" });
    ask("updatePayload", { task: { queue: "default", id: "b" }, payload: Buffer.from("x"), by, nowMs: t0 });
    ask("setPaused", { queues: ["default", "none"], paused: true, by, nowMs: t0 });
    ask("setPaused", { queues: ["default"], paused: true, by, nowMs: t0 });
    ask("dropQueue", { queue: "default", force: true, limit: 10, by, nowMs: t0 + 5 });

    const acts = database.prepare("SELECT verb, what, count FROM act ORDER BY number").all();
    expect(acts.map((act) => Object.values(act as object))).toEqual([
      ["archive", '["a"]', 1],
      ["run", "scheduled", 1],
      ["payload", '["b"]', 1],
      ["pause", "", 0],
      ["drop", "", 3],
    ]);
    expect(database.prepare("SELECT * FROM act WHERE verb = 'drop'").get()).toMatchObject({
      queue: "default",
      at_ms: t0 + 5,
      actor: "ops",
      reason: "a test",
      request_id: "r1",
    });
    database.exec(
      "WITH RECURSIVE n(i) AS (SELECT 6 UNION ALL SELECT i + 1 FROM n WHERE i < 10005) " +
        "INSERT INTO act SELECT 'default', i, 0, 'run', '', 1, '', '', '' FROM n",
    );
    enqueue([row("a")]);
    moveTo("deleted", { queue: "default", ids: ["a"] });
    expect(database.prepare("SELECT min(number) AS first, count(*) AS n FROM act").get()).toMatchObject({
      first: 7,
      n: 10_000,
    });
  });

  it("drops a queue step by step: paused meanwhile, and not one row of it left", () => {
    const unique = { uniqueKey: "k", uniqueForMs: 60_000 };
    enqueue([...["a", "b", "c", "d"].map((id) => row(id)), row("e", unique)]);
    settle(lease(t0, { limit: 1 }), { to: "completed", dueMs: t0 + 60_000 });
    const drop = () => ask("dropQueue", { queue: "default", force: true, limit: 2, by, nowMs: t0 });

    expect(drop()).toBe("more");
    expect(lease()).toEqual([]);
    expect(ask("queues", { nowMs: t0 })).toMatchObject([{ pause: { atMs: t0, actor: "ops", reason: "a test" } }]);
    expect([drop(), drop(), drop()]).toEqual(["more", "dropped", "notFound"]);

    for (const table of ["task", "queue", "day", "unique_lock"])
      expect([table, database.prepare(`SELECT * FROM ${table}`).all()]).toEqual([table, []]);
  });

  it("counts what was done by UTC days, and forgets them after 90", () => {
    const day = 86_400_000;
    const midnight = Math.ceil(t0 / day) * day;
    const work = (nowMs: number, failed: boolean) => {
      enqueue([row(`${nowMs}`)], nowMs);
      settle(lease(nowMs), { to: "archived", failed }, nowMs);
    };
    work(midnight - 1, true);
    work(midnight, true);
    work(midnight + 1_000, true);
    work(midnight + 2 * day, true);

    const [history, none] = ask("history", { queues: ["default", "none"], days: 4, nowMs: midnight + 2 * day });
    expect(history!.map(({ processed }) => processed)).toEqual([1, 0, 2, 1]);
    expect(history![0]).toEqual({
      day: new Date(midnight + 2 * day).toISOString().slice(0, 10),
      processed: 1,
      failed: 1,
    });
    expect(none!.map(({ processed }) => processed)).toEqual([0, 0, 0, 0]);
    ask("prune", { ...all, nowMs: midnight + 91 * day });
    expect(database.prepare("SELECT day FROM day").all()).toHaveLength(1);
  });

  it("keeps the wish to abort a task until it is settled, also when its worker dies or gives it back, and tells it with each renewal", () => {
    enqueue([row("a"), row("b")]);
    const [a, b] = lease(t0, { limit: 1 }).concat(lease(t0, { limit: 1 }));
    const tasks = ["a", "b", "none"].map((id) => ({ queue: "default", id }));
    const asked = () => ask("cancellations", { tasks });
    const renew = (...leases: Lease[]) => ask("renew", { leases });

    expect(ask("cancel", { tasks: [tasks[0]!, tasks[2]!], how: "archive", by, nowMs: t0 })).toEqual([
      "requested",
      "notFound",
    ]);
    expect(asked()).toEqual(["archive", undefined, undefined]);
    expect(renew(a!, b!)).toMatchObject({ lost: [], cancelled: [{ id: "a", how: "archive" }] });
    ask("cancel", { tasks: [tasks[0]!], how: "retry", by, nowMs: t0 });
    expect(renew(a!, b!)).toMatchObject({ cancelled: [{ id: "a", how: "retry" }] });
    settle([b!], { to: "gone" });
    reclaim(t0 + 30_000);
    expect(ask("cancel", { tasks: [tasks[0]!], how: "archive", by, nowMs: t0 })).toEqual(["notActive"]);
    const [again] = lease(t0 + 30_000);
    expect(renew(again!)).toMatchObject({ cancelled: [{ id: "a", how: "retry" }] });
    settle([again!], { to: "pending" });
    expect(asked()).toEqual(["retry", undefined, undefined]);
    settle(lease(t0 + 30_000), { to: "retry", dueMs: t0, failed: true });
    expect(asked()).toEqual([undefined, undefined, undefined]);
  });

  it("takes a unique lock to the new payload, unless another task has that one", () => {
    const keyOf = (text: string) => uniqueKey("default", "test:plain", text === "" ? null : Buffer.from(text));
    const unique = (id: string) => row(id, { uniqueKey: keyOf(""), uniqueForMs: 60_000 });
    enqueue([unique("a"), row("other", { uniqueKey: keyOf("taken"), uniqueForMs: 60_000 })]);
    const update = (text: string, nowMs = t0) =>
      ask("updatePayload", { task: { queue: "default", id: "a" }, payload: Buffer.from(text), by, nowMs });
    const holders = () =>
      Object.fromEntries(
        (database.prepare("SELECT key, id FROM unique_lock").all() as { key: string; id: string }[]).map(
          ({ key, id }) => [key, id],
        ),
      );

    expect(update("taken")).toBe("duplicate");
    expect(update("new")).toBe("updated");
    expect(holders()).toEqual({ [keyOf("taken")]: "other", [keyOf("new")]: "a" });
    expect(enqueue([unique("b")])).toMatchObject([{ status: "enqueued" }]);
    expect(update("new")).toBe("updated");
    expect(update("taken", t0 + 60_000)).toBe("updated");
    expect(holders()).toMatchObject({ [keyOf("taken")]: "a" });
  });

  it("estimates what queues take from a sample, and comes close", () => {
    const sized = (count: number, bytes: number, queue: string) =>
      ask("enqueue", {
        rows: Array.from({ length: count }, (_, n) => row(`${n}`, { queue })),
        messages: pack(Array.from({ length: count }, () => new Uint8Array(bytes))),
        nowMs: t0,
      });
    sized(1_000, 2_000, "large");
    sized(10, 100, "small");

    const [large, small, none] = ask("sizes", { queues: ["large", "small", "none"] });
    const { bytes } = ask("storage", {});

    expect(large! + small!).toBeGreaterThan(Number(bytes) * 0.7);
    expect(large! + small!).toBeLessThan(Number(bytes) * 1.2);
    expect(small).toBeLessThan(5_000);
    expect(none).toBe(0);
  });
});
