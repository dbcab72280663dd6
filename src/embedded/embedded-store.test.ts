import { beforeEach, describe, expect, it } from "vitest";
import { encodeMessage } from "../core/codec.js";
import type { QueueInfo } from "../core/info.js";
import { idMadeAt, message } from "../../test/support/builders.js";
import {
  all,
  ask,
  by,
  database,
  enqueue,
  idsOf,
  lease,
  openStore,
  prepared,
  promote,
  reclaim,
  row,
  settle,
  store,
  t0,
} from "../../test/support/embedded-store.js";
import { seed } from "../../test/support/seed.js";
import { seeded } from "../../test/support/seeded.js";
import { pack } from "./packed.js";

beforeEach(openStore);

describe("embedded store", () => {
  it("puts what is given back, and what is reclaimed, before the line and in its order", () => {
    enqueue(["a", "b", "c", "d", "e"].map((id) => row(id)));
    const [a, b, c, d] = lease(t0, { limit: 4 });

    settle([c!, d!], { to: "pending" });
    settle([a!, b!], { to: "pending" });
    expect(idsOf(lease())).toEqual(["a", "b", "c", "d", "e"]);

    expect(idsOf(reclaim(t0 + 30_000))).toEqual(["a", "b", "c", "d", "e"]);
    expect(idsOf(lease(t0 + 30_000))).toEqual(["a", "b", "c", "d", "e"]);
  });

  it("counts a return for what is released or retried without a failure, and for nothing else", () => {
    enqueue([row("a")]);
    settle(lease(), { to: "pending" });
    settle(lease(), { to: "retry", dueMs: t0 });
    promote(t0);
    settle(lease(), { to: "retry", dueMs: t0, failed: true });
    promote(t0);

    expect(lease()).toMatchObject([{ id: "a", returns: 2, crashes: 0 }]);
    expect(ask("queues", { nowMs: t0 })).toMatchObject([{ processed: 1, failed: 1 }]);
  });

  it("passes over crash suspects that may not run now, and is not held up by them", () => {
    enqueue(Array.from({ length: 20 }, (_, index) => row(`s${index}`)));
    lease();
    reclaim(t0 + 30_000);
    enqueue([row("x"), row("y")], t0 + 30_000);

    expect(idsOf(lease(t0 + 30_000, { limit: 3, suspects: 0 }))).toEqual(["x", "y"]);
    expect(idsOf(lease(t0 + 30_000, { limit: 3, suspects: 1 }))).toEqual(["s0"]);
  });

  it("gives a repeated request what it still holds, with its lease renewed", () => {
    enqueue([row("a"), row("b"), row("c")]);
    const [a] = lease(t0, { requestId: "same", limit: 2 });
    settle([a!], { to: "gone" });

    expect(lease(t0 + 10_000, { requestId: "same", limit: 2 })).toMatchObject([{ id: "b", untilMs: t0 + 40_000 }]);
    expect(idsOf(lease(t0 + 10_000, { requestId: "other" }))).toEqual(["c"]);
  });

  it("knows a repeated enqueue of a finished task of ours for two minutes, and forgets it then", () => {
    const id = idMadeAt(t0);
    enqueue([row(id), row("by hand")]);
    settle(lease(), { to: "gone" });
    const again = (nowMs: number) => enqueue([row(id, { repeat: true }), row("by hand", { repeat: true })], nowMs);

    expect(again(t0 + 100_000)).toMatchObject([{ state: "completed" }, { state: "pending" }]);
    ask("prune", { ...all, nowMs: t0 + 240_000 });
    expect(database.prepare("SELECT * FROM finished").all()).toEqual([]);
    expect(again(t0 + 240_000)).toMatchObject([{ state: "pending" }, { state: "pending" }]);
  });

  it("does not remember ids that are too old to be sent again, and sweeps what it remembered as it goes", () => {
    const finish = (ids: string[], nowMs: number) => {
      enqueue(
        ids.map((id) => row(id)),
        nowMs,
      );
      settle(lease(nowMs), { to: "gone" }, nowMs);
    };
    const remembered = () => database.prepare("SELECT id FROM finished").all().length;

    const madeAt = (nowMs: number, count: number) => Array.from({ length: count }, () => idMadeAt(nowMs));

    finish([idMadeAt(t0), "of the caller's own"], t0 + 61_000);
    expect(remembered()).toBe(0);
    finish(madeAt(t0 + 61_000, 4), t0 + 61_000);
    finish(madeAt(t0 + 300_000, 1), t0 + 300_000);
    expect(remembered()).toBe(3);
    finish(madeAt(t0 + 300_000, 1), t0 + 300_000);
    expect(remembered()).toBe(2);
  });

  it("takes no lock for a task that it does not store", () => {
    const unique = { uniqueKey: "k", uniqueForMs: 60_000 };
    enqueue([row("a")]);

    expect(enqueue([row("a", unique)])).toEqual([{ status: "idTaken", id: "a" }]);
    expect(enqueue([row("b", unique), row("c", unique)])).toMatchObject([
      { status: "enqueued", id: "b" },
      { status: "duplicate", id: "b" },
    ]);
  });

  it("gives a lock back for its holder alone, and lets it run out", () => {
    const unique = { uniqueKey: "k", uniqueForMs: 1_500 };
    enqueue([row("a", unique)]);
    const held = lease();
    expect(enqueue([row("b", unique)], t0 + 1_999)).toEqual([{ status: "duplicate", id: "a" }]);
    expect(enqueue([row("b", unique)], t0 + 2_000)).toMatchObject([{ status: "enqueued" }]);

    settle(held, { to: "gone", uniqueKey: "k" }, t0 + 2_000);

    expect(enqueue([row("c", unique)], t0 + 2_000)).toEqual([{ status: "duplicate", id: "b" }]);
  });

  it("archives a message that cannot be decoded, bytes and neighbours unharmed", () => {
    const bytes = Buffer.from([0xff, 0xff, 0xff]);
    ask("enqueue", {
      rows: [row("bad"), row("good")],
      messages: pack([bytes, encodeMessage(message({ id: "good" }))]),
      nowMs: t0,
    });

    const { leased, setAside } = ask("exchange", {
      rows: [],
      messages: pack([]),
      lease: { workerId: "w", requestId: "r", queues: ["default"], limit: 10, leaseMs: 5_000, suspects: 0 },
      nowMs: t0,
    });

    expect(idsOf(leased)).toEqual(["good"]);
    expect(setAside).toMatchObject([{ queue: "default", id: "bad" }]);
    const [info] = ask("find", { refs: [{ queue: "default", id: "bad" }] });
    expect(info).toMatchObject({ state: "archived", message: new Uint8Array(bytes) });
    expect(JSON.parse(info!.failure!)).toMatchObject({ reason: "decode_error" });
  });

  it("leases nothing from a paused queue", () => {
    enqueue([row("a")]);
    database.exec("UPDATE queue SET paused = 1");

    expect(lease()).toEqual([]);
    expect(ask("queues", { nowMs: t0 })).toMatchObject([{ paused: true }]);
  });

  it("never shortens a lease, and says which are lost", () => {
    enqueue([row("a"), row("b")]);
    const [a, b] = lease();
    settle([b!], { to: "gone" });

    expect(
      ask("renew", {
        leases: [
          { ...a!, untilMs: t0 + 10_000 },
          { ...b!, untilMs: t0 + 60_000 },
        ],
      }),
    ).toMatchObject({ lost: [{ id: "b" }], cancelled: [] });
    expect(reclaim(t0 + 29_999)).toEqual([]);
    ask("renew", { leases: [{ ...a!, untilMs: t0 + 60_000 }] });
    expect(reclaim(t0 + 59_999)).toEqual([]);
    expect(reclaim(t0 + 60_000)).toEqual([{ queue: "default", id: "a", to: "pending", crashes: 1 }]);
  });

  it("undoes one call of a group that fails, and carries out the others", () => {
    const good = (id: string) => ({ rows: [row(id)], messages: pack([encodeMessage(message({ id }))]), nowMs: t0 });
    const bad = { ...good("bad"), messages: pack([undefined]) };

    const answers = store.run([
      { verb: "enqueue", args: good("a") },
      {
        verb: "enqueue",
        args: { ...bad, rows: [row("half"), row("bad")], messages: pack([Buffer.from("x"), undefined]) },
      },
      { verb: "enqueue", args: good("b") },
    ]);

    expect(answers.map((answer) => "error" in answer)).toEqual([false, true, false]);
    expect(answers[1]).toMatchObject({ error: { code: "BROKER_FAILED" } });
    expect(idsOf(lease())).toEqual(["a", "b"]);
    expect(ask("queues", { nowMs: t0 })).toMatchObject([{ counts: { pending: 0, active: 2 } }]);
  });

  it(`keeps its counts equal to what there is, and reads by index alone (seed ${seed})`, () => {
    const random = seeded(seed);
    let held: ReturnType<typeof lease> = [];
    for (let step = 0; step < 400; step += 1) {
      const nowMs = t0 + step * 1_000;
      const choice = Math.floor(random() * 8);
      const part = held.slice(0, 1 + Math.floor(random() * held.length));
      if (choice < 3)
        enqueue(
          Array.from({ length: 3 }, (_, n) => row(`${step}-${n}`, { processAtMs: random() < 0.3 ? nowMs + 5_000 : 0 })),
          nowMs,
        );
      else if (choice === 3) held = [...held, ...lease(nowMs, { limit: 4, suspects: 1 })];
      else if (choice < 7) {
        const to = (["gone", "completed", "retry", "archived", "pending"] as const)[Math.floor(random() * 5)]!;
        settle(part, { to, dueMs: nowMs + 3_000, failed: to === "retry" || to === "archived" }, nowMs);
        held = held.slice(part.length);
      } else {
        steer(random, nowMs);
        reclaim(nowMs);
        promote(nowMs);
        ask("prune", { ...all, nowMs });
        ask("list", { queue: "default", state: "archived", type: undefined, page: { limit: 10, cursor: "5 x" } });
        ask("list", {
          queue: "default",
          state: "archived",
          type: undefined,
          page: { limit: 10, cursor: "5 x", backwards: true },
        });
        store.signs(true);
        store.version();
      }
    }

    const [queue] = ask("queues", { nowMs: t0 });
    expect(recounted()).toEqual(
      Object.fromEntries(Object.entries((queue as QueueInfo).counts).filter(([, count]) => count > 0)),
    );
    expect(scans()).toEqual([]);
  });
});

/** One of everything that an operator and a worker's life may ask for. */
function steer(random: () => number, nowMs: number): void {
  const state = (["pending", "scheduled", "retry", "archived", "completed"] as const)[Math.floor(random() * 5)]!;
  const to = (["pending", "archived", "deleted"] as const)[Math.floor(random() * 3)]!;
  const options = { by, limit: 2, attempts: 2, cursor: "0 ", nowMs };
  ask("move", { ...options, selection: { queue: "default", state }, to });
  const { items } = ask("list", { queue: "default", state, type: undefined, page: { limit: 2, backwards: true } });
  ask("move", { ...options, selection: { queue: "default", ids: idsOf(items) }, to });
  for (const { queue, id } of items)
    ask("updatePayload", { task: { queue, id }, payload: Buffer.from("y"), by, nowMs });
  const { items: tasks } = ask("list", { queue: "default", state: "active", type: undefined, page: { limit: 1 } });
  ask("cancel", { tasks, how: "retry", by, nowMs });
  ask("cancellations", { tasks });
  for (const paused of [true, false]) ask("setPaused", { queues: ["default"], paused, by, nowMs });
  enqueue([row("dropped", { queue: "other" })], nowMs);
  ask("dropQueue", { queue: "other", force: true, limit: 2, by, nowMs });
  ask("announce", { id: "w", info: "{}", untilMs: nowMs });
  ask("workers", { nowMs });
  ask("withdraw", { id: "w" });
  ask("history", { queues: ["default"], days: 5, nowMs });
  ask("sizes", { queues: ["default"] });
  ask("storage", {});
}

function recounted(): Record<string, number> {
  const rows = database.prepare("SELECT state, count(*) AS n FROM task GROUP BY state").all() as {
    state: string;
    n: number;
  }[];
  return Object.fromEntries(rows.map(({ state, n }) => [state, n]));
}

/**
 * Statements that look at a whole table, or sort. The list of queues alone may: it is meant to be whole. So are two
 * indexes that hold nothing but what is asked for.
 */
function scans(): string[] {
  return [...prepared].filter((sql) => {
    if (!/^(SELECT|UPDATE|DELETE)/.test(sql) || sql.includes("FROM queue ORDER BY") || sql.includes("sqlite_master"))
      return false;
    const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[];
    return plan.some(
      ({ detail }) =>
        /^SCAN (?!CONSTANT|.* USING (COVERING )?INDEX (queue_waiting|task_cancelled)$)/.test(detail) ||
        detail.includes("TEMP B-TREE"),
    );
  });
}
