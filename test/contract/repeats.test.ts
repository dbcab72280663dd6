import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { repeatHorizonMs } from "../../src/broker/broker.js";
import { newId } from "../../src/core/ids.js";
import { uniqueKey } from "../../src/core/message.js";
import { settled } from "../support/builders.js";
import { describeBroker, idsOf, type Trial } from "./describe-broker.js";

const again = (t: Trial, id: string, fields: Parameters<Trial["task"]>[1] = {}) => t.task(id, fields, { repeat: true });
const enqueued = (id: string, state: string) => [{ status: "enqueued", id, state }];

/** An id of ours of that time; newId itself never goes back. */
function madeAt(ms: number): string {
  const time = ms.toString(16).padStart(12, "0");
  const random = randomUUID();
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(15)}`;
}

describeBroker("repeated requests", ({ it }) => {
  it("answer a lease whose reply was lost with the same tasks, and lease nothing more", async (t) => {
    await t.enqueue(["1", "2", "3"]);
    const request = t.request({ limit: 2 });

    const first = await t.lease(request);
    const second = await t.lease(request, 1_000);

    expect(idsOf(first)).toEqual(["1", "2"]);
    expect(second.map(({ lease, message }) => [lease.id, lease.token, message.id])).toEqual(
      first.map(({ lease, message }) => [lease.id, lease.token, message.id]),
    );
    expect(await t.counts()).toEqual({ active: 2, pending: 1 });
    expect(
      await t.settle(
        second.map((task) => settled.completed(task)),
        2_000,
      ),
    ).toEqual(["settled", "settled"]);
  });

  it("answer a whole turn that is sent again: what was settled is no longer held, what was leased is the same", async (t) => {
    await t.enqueue(["1", "2"]);
    const task = await t.leaseOne();
    const turn = { settle: [settled.completed(task)], lease: t.request() };

    const first = await t.broker.exchange(turn, t.at(0));
    const second = await t.broker.exchange(turn, t.at(0));

    expect([first.settled, second.settled]).toEqual([["settled"], ["leaseLost"]]);
    expect([idsOf(first.leased), idsOf(second.leased)]).toEqual([["2"], ["2"]]);
    expect(await t.info()).toMatchObject({ processed: 1 });
  });

  it("leave out what is no longer held", async (t) => {
    await t.enqueue(["1", "2", "3"]);
    const request = t.request({ limit: 3, leaseMs: 5_000 });
    const [one] = await t.lease(request);
    await t.settle([settled.completed(one!)]);
    await t.reclaim(6_000, 1);

    const repeated = await t.lease(request, 6_000);

    expect(repeated).toHaveLength(1);
    expect(["2", "3"]).toContain(repeated[0]!.lease.id);
    expect(await t.counts()).toEqual({ active: 1, pending: 1 });
  });

  it("work over several queues", async (t) => {
    const queues = [t.queueNamed("a"), t.queueNamed("b"), t.queueNamed("c")];
    await t.enqueue([t.task("1", { queue: queues[1]! }), t.task("2", { queue: queues[2]! })]);
    const request = t.request({ queues });

    const [first, second] = [await t.lease(request), await t.lease(request)];

    expect(first.map(({ lease }) => [lease.queue, lease.id])).toEqual([
      [queues[1], "1"],
      [queues[2], "2"],
    ]);
    expect(second.map(({ lease }) => [lease.queue, lease.id])).toEqual([
      [queues[1], "1"],
      [queues[2], "2"],
    ]);
  });

  it("get what they got, though a queue that comes before has something by now, and strand nothing", async (t) => {
    const other = t.queueNamed("other");
    await t.enqueue([t.task("x", { queue: other })]);
    const request = t.request({ queues: [t.queue, other], limit: 1 });
    const turn = { settle: [], lease: request };
    expect(idsOf((await t.broker.exchange(turn, t.at(0))).leased)).toEqual(["x"]);

    await t.enqueue(["a"]);
    expect(idsOf((await t.broker.exchange(turn, t.at(0))).leased)).toEqual(["x"]);
    expect(await t.stateOf("a")).toBe("pending");
  });

  it("are told apart by worker and by request", async (t) => {
    await t.enqueue(["1", "2", "3"]);

    const leased = [
      await t.lease({ workerId: "w1", requestId: `${t.queue}-r1`, limit: 1 }),
      await t.lease({ workerId: "w2", requestId: `${t.queue}-r2`, limit: 1 }),
      await t.lease({ workerId: "w1", requestId: `${t.queue}-r3`, limit: 1 }),
    ];

    expect(leased.map(idsOf)).toEqual([["1"], ["2"], ["3"]]);
  });

  it("are refused to a task that another has the id of, unless they say that they repeat", async (t) => {
    await t.enqueue(["1"]);

    expect(await t.enqueue(["1"])).toEqual([{ status: "idTaken", id: "1" }]);
    expect(await t.enqueue([again(t, "1")])).toEqual(enqueued("1", "pending"));
    expect(await t.counts()).toEqual({ pending: 1 });
  });

  it("are one task wherever that is by now", async (t) => {
    const id = newId(t.at(0));
    const seen: unknown[] = [];
    const look = async () => seen.push((await t.enqueue([again(t, id, { retentionMs: 60_000 })]))[0]);
    await look();
    await look();
    const task = await t.leaseOne();
    await look();
    await t.settle([settled.retry(task, t.at(1_000))]);
    await look();
    await t.promote(1_000);
    await t.settle([settled.completed(await t.leaseOne({}, 1_000))], 1_000);
    await look();

    expect(seen).toEqual(
      ["pending", "pending", "active", "retry", "completed"].flatMap((state) => enqueued(id, state)),
    );
  });

  for (const outcome of ["completed", "revoked"] as const) {
    it(`are recognised when the task is over and deleted (${outcome})`, async (t) => {
      const id = newId(t.at(0));
      await t.enqueue([id]);
      await t.settle([settled[outcome](await t.leaseOne())], 1_000);

      expect(await t.enqueue([again(t, id)], 2_000)).toEqual(enqueued(id, "completed"));
      expect(await t.enqueue([again(t, id)], repeatHorizonMs - 1_000)).toEqual(enqueued(id, "completed"));
      expect(await t.counts()).toEqual({});
    });
  }

  it("are recognised when a short retention has run out", async (t) => {
    const ids = [newId(t.at(0)), newId(t.at(0))];
    const other = t.queueNamed("other");
    await t.enqueue([t.task(ids[0]!, { retentionMs: 1_000 }), t.task(ids[1]!, { retentionMs: 1_000, queue: other })]);
    await t.settle((await t.lease({ queues: [t.queue, other] })).map((task) => settled.completed(task)));
    expect(await t.broker.prune([t.queue, other], 10, t.at(2_000))).toBe(2);

    const repeated = [
      again(t, ids[0]!, { retentionMs: 1_000 }),
      again(t, ids[1]!, { retentionMs: 1_000, queue: other }),
    ];
    expect(await t.enqueue(repeated, 3_000)).toEqual(ids.flatMap((id) => enqueued(id, "completed")));
    expect([await t.counts(), await t.stateOf(ids[1]!)]).toEqual([{}, "gone"]);
  });

  it("are put in when the id is the caller's own and nothing has it: it may be meant for a new task", async (t) => {
    await t.enqueue(["order-42"]);
    await t.settle([settled.completed(await t.leaseOne())]);

    expect(await t.enqueue([again(t, "order-42")], 5_000)).toEqual(enqueued("order-42", "pending"));
  });

  it("with an id of the caller's own are that task only when it is the same, byte for byte", async (t) => {
    const payload = Buffer.from("one");
    await t.enqueue([t.task("order-42", { payload })]);

    expect(await t.enqueue([again(t, "order-42", { payload })])).toEqual(enqueued("order-42", "pending"));
    expect(await t.enqueue([again(t, "order-42", { payload: Buffer.from("two") })])).toEqual([
      { status: "idTaken", id: "order-42" },
    ]);
    expect(Buffer.from((await t.find("order-42"))!.message!.payload).toString()).toBe("one");
    // Also where another task holds the lock that it asks for: no waiting makes that id free.
    const uniqueness = { uniqueKey: uniqueKey(t.queue, "test:plain", null) };
    await t.enqueue([t.task("holder", uniqueness, { uniqueForMs: 60_000 })]);
    const locked = t.task("order-42", uniqueness, { uniqueForMs: 60_000, repeat: true });
    expect(await t.enqueue([locked])).toEqual([{ status: "idTaken", id: "order-42" }]);
  });

  it("alone look at what is over: an id can be used again", async (t) => {
    const id = newId(t.at(0));
    await t.enqueue([id]);
    await t.settle([settled.completed(await t.leaseOne())]);

    expect(await t.enqueue([id])).toEqual(enqueued(id, "pending"));
  });

  it("are recognised in their own queue only", async (t) => {
    const id = newId(t.at(0));
    const other = t.queueNamed("other");
    await t.enqueue([id]);
    await t.settle([settled.completed(await t.leaseOne())]);

    expect(await t.enqueue([again(t, id, { queue: other })])).toEqual(enqueued(id, "pending"));
  });

  it("of a unique task are that task, not a duplicate of it", async (t) => {
    const [one, two, three] = [newId(t.at(0)), newId(t.at(0)), newId(t.at(0))];
    const fields = { uniqueKey: uniqueKey(t.queue, "test:plain", null) };
    const unique = (id: string, repeat: boolean) => t.task(id, fields, { uniqueForMs: 60_000, repeat });
    await t.enqueue([unique(one, true)]);

    expect(await t.enqueue([unique(one, true)])).toEqual(enqueued(one, "pending"));
    expect(await t.enqueue([unique(two, true)])).toEqual([{ status: "duplicate", id: one }]);

    await t.settle([settled.completed(await t.leaseOne())]);
    await t.enqueue([unique(three, false)]);
    expect(await t.enqueue([unique(one, true)])).toEqual(enqueued(one, "completed"));
  });

  it("that never arrived before are put in as they are", async (t) => {
    expect(await t.enqueue([again(t, "1"), t.task("2", {}, { repeat: true, processAtMs: t.at(1_000) })])).toEqual([
      ...enqueued("1", "pending"),
      ...enqueued("2", "scheduled"),
    ]);
  });

  it(
    "of what came through a spool are recognised long after, however old it was when it finished",
    async (t) => {
      const hourAgo = t.at(0) - 3_600_000;
      const [old, kept, sent, direct] = [madeAt(hourAgo), madeAt(hourAgo), madeAt(t.at(0)), madeAt(t.at(0))];
      const spooled = (id: string, fields = {}) => t.task(id, fields, { repeat: true, spooled: 900_000 });
      await t.enqueue([sent]);
      await t.enqueue([spooled(old), spooled(sent), spooled(kept, { retentionMs: 1_000 }), direct]);
      const leased = await t.lease();
      expect(leased.map((task) => task.spooled)).toEqual([900_000, 900_000, 900_000, 0]);
      await t.settle([
        settled.completed(leased[0]!),
        settled.revoked(leased[1]!),
        settled.completed(leased[2]!),
        settled.completed(leased[3]!),
      ]);
      expect(await t.prune(5_000)).toBe(1);
      // A turn that finishes something else later frees what is not needed any more.
      for (const ms of [150_000, 600_000]) {
        await t.enqueue([madeAt(t.at(ms))], ms);
        await t.settle([settled.completed(await t.leaseOne({}, ms))], ms);
        const repeated = [old, sent, kept].map((id) => spooled(id));
        expect(await t.enqueue(repeated, ms)).toEqual([old, sent, kept].flatMap((id) => enqueued(id, "completed")));
      }
      expect(await t.enqueue([spooled(madeAt(hourAgo))])).toMatchObject([{ state: "pending" }]);
    },
    { needs: "spool" },
  );

  it(
    "of what came through a spool and was deleted by hand do not bring it back",
    async (t) => {
      const id = madeAt(t.at(0) - 3_600_000);
      const spooled = t.task(id, {}, { repeat: true, spooled: 900_000 });
      await t.enqueue([spooled]);
      expect(await t.move([id], "deleted")).toEqual({ receipts: ["moved"] });

      expect(await t.enqueue([spooled], 150_000)).toEqual(enqueued(id, "completed"));
      expect(await t.counts()).toEqual({});
    },
    { needs: "spool" },
  );

  it("within one list are one task", async (t) => {
    expect(await t.enqueue([again(t, "1"), again(t, "1"), "1"])).toEqual([
      ...enqueued("1", "pending"),
      ...enqueued("1", "pending"),
      { status: "idTaken", id: "1" },
    ]);
  });
});
