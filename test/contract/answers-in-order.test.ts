import { expect } from "vitest";
import { noHeaders } from "../../src/core/names.js";
import { bytesOf, settled } from "../support/builders.js";
import { describeBroker, idsOf } from "./describe-broker.js";

describeBroker("answers in order", ({ it }) => {
  it("answers an enqueue element by element, whatever the queues", async (t) => {
    const [a, b] = [t.queueNamed("a"), t.queueNamed("b")];
    const tasks = [
      t.task("1", { queue: a }),
      t.task("2", { queue: b }),
      t.task("3", { queue: a }),
      t.task("1", { queue: a }),
      t.task("1", { queue: b }, { processAtMs: t.at(60_000) }),
    ];

    expect(await t.enqueue(tasks)).toEqual([
      { status: "enqueued", id: "1", state: "pending" },
      { status: "enqueued", id: "2", state: "pending" },
      { status: "enqueued", id: "3", state: "pending" },
      { status: "idTaken", id: "1" },
      { status: "enqueued", id: "1", state: "scheduled" },
    ]);
  });

  it("answers settlements element by element, in whatever order they come", async (t) => {
    const queues = [t.queueNamed("a"), t.queueNamed("b")];
    await t.enqueue(queues.flatMap((queue) => [t.task("1", { queue }), t.task("2", { queue })]));
    const [a1, a2, b1, b2] = await t.lease({ queues });
    await t.settle([settled.completed(a2!)]);

    const turn = [settled.completed(b2!), settled.completed(a2!), settled.completed(a1!), settled.completed(b1!)];

    expect(await t.settle(turn)).toEqual(["settled", "leaseLost", "settled", "settled"]);
  });

  it("finds element by element, and says so where there is nothing", async (t) => {
    const other = t.queueNamed("other");
    await t.enqueue(["1", t.task("2", { queue: other })]);

    const found = await t.broker.find([
      { queue: other, id: "1" },
      { queue: other, id: "2" },
      { queue: t.queue, id: "1" },
      { queue: t.queue, id: "2" },
      { queue: t.queue, id: "1" },
    ]);

    expect(found.map((info) => info && [info.queue, info.id])).toEqual([
      undefined,
      [other, "2"],
      [t.queue, "1"],
      undefined,
      [t.queue, "1"],
    ]);
  });

  it("answers nothing to nothing", async (t) => {
    expect(await t.enqueue([])).toEqual([]);
    expect(await t.settle([])).toEqual([]);
    expect(await t.broker.find([])).toEqual([]);
    expect(await t.broker.exchange({ settle: [] }, t.at(0))).toMatchObject({ settled: [], leased: [], more: false });
    expect(await t.broker.reclaim([], 10, t.at(0))).toEqual([]);
    expect(await t.broker.promote([], 10, t.at(0))).toEqual({ moved: 0, nextDueMs: undefined });
    expect(await t.broker.prune([], 10, t.at(0))).toBe(0);
  });

  it("leases first in, first out, and in the order of the queues", async (t) => {
    const [first, second] = [t.queueNamed("first"), t.queueNamed("second")];
    await t.enqueue([t.task("s1", { queue: second }), t.task("f1", { queue: first }), t.task("f2", { queue: first })]);
    await t.enqueue([t.task("f3", { queue: first })], 5);

    const leased = await t.lease({ queues: [first, second], limit: 4 });

    expect(idsOf(leased)).toEqual(["f1", "f2", "f3", "s1"]);
    expect(leased.map(({ lease }) => lease.queue)).toEqual([first, first, first, second]);
  });

  it("leases from the queues that have something, past those that have nothing", async (t) => {
    await t.enqueue(["1"]);

    expect(idsOf(await t.lease({ queues: [t.queueNamed("none"), t.queue, t.queueNamed("nothing")] }))).toEqual(["1"]);
  });

  it("hands out the message as it came in, byte for byte", async (t) => {
    const headers = { ...noHeaders, traceparent: "00-abc-01" };
    const payload = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const every = t.task("every", {
      type: "</script> 日本語",
      payload,
      maxRetry: 2_147_483_647,
      retried: 3,
      lastError: "boom: é",
      lastFailedAtMs: 1_700_000_001_000,
      timeoutMs: 0,
      deadlineMs: 1_700_000_600_000,
      retentionMs: 86_400_000,
      headers,
    });
    const large = t.task("large", { payload: Buffer.alloc(1_048_576, "x") });
    await t.enqueue([every, large, "empty"]);

    const leased = await t.leaseAll();

    expect(leased.map(({ message }) => bytesOf(message))).toEqual(
      [every, large, t.task("empty")].map(({ message }) => bytesOf(message)),
    );
    expect(leased.map(({ crashes, returns }) => [crashes, returns])).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
  });

  it("takes queue names and ids that mean something elsewhere", async (t) => {
    const names = ["__proto__", "constructor", "toString", "a:b", "a.b-c_d", "0"].map((name) => t.queueNamed(name));
    const odd = [
      "__proto__",
      "constructor",
      "a:t:b",
      "{x}",
      "1 2",
      "*",
      "é",
      "'; DROP TABLE task; --",
      "x".repeat(256),
    ];
    const tasks = [...names, "__proto__"].flatMap((queue) => odd.map((id) => t.task(id, { queue })));

    const receipts = await t.enqueue(tasks);
    const leased = await t.leaseAll({ queues: names });
    const settledAll = await t.settle(leased.map((task) => settled.completed(task)));

    expect(receipts.map(({ status }) => status)).toEqual(tasks.map(() => "enqueued"));
    expect(idsOf(leased)).toEqual(names.flatMap(() => odd));
    expect(new Set(settledAll)).toEqual(new Set(["settled"]));
  });
});
