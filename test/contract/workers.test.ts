import { expect } from "vitest";
import type { RunningTask, WorkerInfo } from "../../src/core/info.js";
import { describeBroker, type Trial } from "./describe-broker.js";

const running = (t: Trial, id: string, payload: Uint8Array | undefined): RunningTask => ({
  queue: t.queue,
  id,
  type: "email:send",
  payload,
  startedAtMs: t.at(-2_000),
  limitAtMs: t.at(28_000),
});

const worker = (t: Trial, name: string, fields: Partial<WorkerInfo> = {}): WorkerInfo => ({
  id: `${t.queue}:77:${name}`,
  host: t.queue,
  pid: 77,
  concurrency: 10,
  queues: { [t.queue]: 3, other: 1 },
  strictPriority: true,
  status: "active",
  startedAtMs: t.at(-5_000),
  running: [],
  ...fields,
});

/** Those of this test: others share the storage. */
const living = async (t: Trial, ms = 0) => {
  const all = await t.broker.workers(t.at(ms));
  return all.filter(({ host }) => host === t.queue);
};

describeBroker("workers", ({ it }) => {
  it("are told as they announced themselves, with what they run", async (t) => {
    const busy = worker(t, "a", {
      running: [running(t, "1", Buffer.from("payload")), running(t, "2", undefined), running(t, "3", Buffer.alloc(0))],
    });
    const stopped = worker(t, "b", { status: "stopped", strictPriority: false, startedAtMs: t.at(-4_000) });

    for (const one of [busy, stopped]) {
      expect(await t.broker.announce(one, 10_000, t.at(0))).toEqual({ shared: [] });
    }

    const told = await living(t);
    expect(told.map(({ running: tasks, ...rest }) => ({ ...rest, tasks: tasks.length }))).toEqual(
      [busy, stopped].map(({ running: tasks, ...rest }) => ({ ...rest, tasks: tasks.length })),
    );
    const tasks = told[0]!.running.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    expect(
      tasks.map(({ payload, ...task }) => ({ ...task, payload: payload && Buffer.from(payload).toString() })),
    ).toEqual(
      busy.running.map(({ payload, ...task }) => ({ ...task, payload: payload && Buffer.from(payload).toString() })),
    );
  });

  it("are told as of the last time, for as long as they said", async (t) => {
    await t.broker.announce(worker(t, "a", { running: [running(t, "1", undefined)] }), 10_000, t.at(0));
    await t.broker.announce(worker(t, "a", { running: [running(t, "2", undefined)] }), 10_000, t.at(5_000));

    expect((await living(t, 14_000)).map(({ running: tasks }) => tasks.map(({ id }) => id))).toEqual([["2"]]);
    expect(await living(t, 16_000)).toEqual([]);
  });

  it("are gone at once when they take leave, which may be twice", async (t) => {
    const [a, b] = [worker(t, "a"), worker(t, "b")];
    for (const one of [a, b]) await t.broker.announce(one, 10_000, t.at(0));

    await t.broker.withdraw(a);
    await t.broker.withdraw(a);

    expect((await living(t)).map(({ id }) => id)).toEqual([b.id]);
  });
});
