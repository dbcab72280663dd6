import { expect } from "vitest";
import type { LeasedTask } from "../../src/broker/broker.js";
import type { EffectAnswer, EffectStep } from "../../src/broker/effects.js";
import { settled, withToken } from "../support/builders.js";
import { by, describeBroker, type Trial } from "./describe-broker.js";

const step = (task: LeasedTask, act: EffectStep["act"], key = "charge"): EffectStep => ({
  lease: task.lease,
  key,
  act,
});
const begin = (task: LeasedTask, key?: string) => step(task, { kind: "begin" }, key);
const done = (task: LeasedTask, result: string, key?: string) => step(task, { kind: "done", result }, key);
const undone = (task: LeasedTask, key?: string) => step(task, { kind: "undone" }, key);
const one = async (t: Trial, asked: EffectStep): Promise<EffectAnswer> => (await t.broker.remember([asked]))[0]!;

/** The task, leased anew after its worker died. */
async function afterCrash(t: Trial, ms = 40_000): Promise<LeasedTask> {
  await t.reclaim(ms);
  return t.leaseOne({}, ms);
}

describeBroker("effects", ({ it }) => {
  it("are begun once, and once done their result is remembered by later attempts", async (t) => {
    await t.enqueue(["1"]);
    const first = await t.leaseOne();

    expect(await one(t, begin(first))).toEqual({ status: "begun" });
    expect(await one(t, done(first, '{"id":"ch_1"}'))).toEqual({ status: "done", result: '{"id":"ch_1"}' });
    await t.settle([settled.retry(first, t.at(1_000))]);
    await t.promote(1_000);
    const second = await t.leaseOne({}, 1_000);

    expect(await one(t, begin(second))).toEqual({ status: "done", result: '{"id":"ch_1"}' });
    expect(await one(t, begin(second, "mail"))).toEqual({ status: "begun" });
  });

  it("may be asked for again after a lost answer", async (t) => {
    await t.enqueue(["1"]);
    const task = await t.leaseOne();
    const twice = async (asked: EffectStep) => [await one(t, asked), await one(t, asked)];

    expect(await twice(begin(task))).toEqual([{ status: "begun" }, { status: "begun" }]);
    expect(await twice(undone(task))).toEqual([{ status: "open" }, { status: "open" }]);
    expect(await twice(begin(task))).toEqual([{ status: "begun" }, { status: "begun" }]);
    expect(await twice(done(task, ""))).toEqual([
      { status: "done", result: "" },
      { status: "done", result: "" },
    ]);
    expect(await one(t, done(task, '"another"'))).toEqual({ status: "done", result: "" });
    expect(await one(t, undone(task))).toEqual({ status: "done", result: "" });
  });

  it("are in doubt when the worker died in between, also after the next one gave up", async (t) => {
    await t.enqueue(["1"]);
    const dead = await t.leaseOne({ leaseMs: 5_000 });
    await one(t, begin(dead));

    const second = await afterCrash(t);
    expect(await one(t, begin(second))).toEqual({ status: "interrupted" });
    expect(await one(t, undone(second))).toEqual({ status: "interrupted" });
    await t.settle([settled.archived(second)], 41_000);
    await t.move(["1"], "pending", { ms: 42_000 });
    const third = await t.leaseOne({}, 42_000);

    expect(await one(t, begin(third))).toEqual({ status: "interrupted" });
    expect(await one(t, done(third, "1"))).toEqual({ status: "done", result: "1" });
  });

  it("are begun only by who holds the lease, but told to be done by whoever did it", async (t) => {
    await t.enqueue(["1"]);
    const dead = await t.leaseOne({ leaseMs: 5_000 });
    await one(t, begin(dead));
    const second = await afterCrash(t);

    expect(await one(t, begin(dead, "mail"))).toEqual({ status: "leaseLost" });
    expect(await one(t, begin(withToken(second, "a guess"), "mail"))).toEqual({ status: "leaseLost" });
    expect(await one(t, done(dead, "7"))).toEqual({ status: "done", result: "7" });
    expect(await one(t, begin(second))).toEqual({ status: "done", result: "7" });
  });

  it("of a lease that was lost are not taken back under the attempt that holds the task now", async (t) => {
    await t.enqueue(["1"]);
    const stale = await t.leaseOne({ leaseMs: 5_000 });
    await one(t, begin(stale));
    const second = await afterCrash(t);

    await one(t, undone(stale));
    expect(await one(t, begin(second))).toEqual({ status: "interrupted" });
    expect(await one(t, done(second, "7"))).toEqual({ status: "done", result: "7" });
  });

  it("are noted as done by who holds the lease also where nothing is known of them", async (t) => {
    await t.enqueue(["1"]);
    const task = await t.leaseOne();

    expect(await one(t, done(withToken(task, "a guess"), "6"))).toEqual({ status: "open" });
    expect(await one(t, done(task, "7"))).toEqual({ status: "done", result: "7" });
    expect(await one(t, begin(task))).toEqual({ status: "done", result: "7" });
  });

  it("go with their task", async (t) => {
    await t.enqueue(["1"]);
    const task = await t.leaseOne();
    await one(t, begin(task));
    await t.settle([settled.completed(task)]);

    expect(await one(t, done(task, "7"))).toEqual({ status: "open" });
    expect(await one(t, begin(task))).toEqual({ status: "leaseLost" });
    expect(await t.stateOf("1")).toBe("gone");
    await t.enqueue(["1"]);
    expect(await one(t, begin(await t.leaseOne()))).toEqual({ status: "begun" });
  });

  it("stay with a task that is kept, released or steered", async (t) => {
    await t.enqueue([t.task("1", { retentionMs: 60_000 })]);
    const first = await t.leaseOne();
    await t.broker.remember([begin(first), done(first, "1")]);
    await t.settle([settled.released(first)]);
    const second = await t.leaseOne();
    expect(await one(t, begin(second))).toEqual({ status: "done", result: "1" });
    await t.settle([settled.completed(second)]);
    await t.broker.updatePayload({ queue: t.queue, id: "1" }, Buffer.from("new"), by, t.at(1_000));
    await t.move(["1"], "pending", { ms: 2_000 });

    expect(await one(t, begin(await t.leaseOne({}, 2_000)))).toEqual({ status: "done", result: "1" });
  });

  it("of many tasks, queues and keys are answered in order", async (t) => {
    const other = t.elsewhere();
    await t.enqueue(["1", "2"]);
    await other.enqueue(["1"]);
    const [a, b] = await t.lease();
    const c = await other.leaseOne();
    const odd = "__proto__ é \u{1f600}";
    await t.broker.remember([begin(b!, odd)]);

    expect(
      await t.broker.remember([
        begin(a!),
        begin(c),
        done(b!, '"\u{1f600}"', odd),
        begin(a!, odd),
        done(c, "3"),
        begin(withToken(a!, "x")),
        begin(b!),
      ]),
    ).toEqual([
      { status: "begun" },
      { status: "begun" },
      { status: "done", result: '"\u{1f600}"' },
      { status: "begun" },
      { status: "done", result: "3" },
      { status: "leaseLost" },
      { status: "begun" },
    ]);
    expect(await t.broker.remember([])).toEqual([]);
  });
});
