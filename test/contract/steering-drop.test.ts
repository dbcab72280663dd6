import { expect } from "vitest";
import { uniqueKey } from "../../src/core/message.js";
import { settled } from "../support/builders.js";
import { by, describeBroker, type Trial } from "./describe-broker.js";

async function dropped(t: Trial, { limit = 100, queue = t.queue } = {}): Promise<string[]> {
  const receipts: string[] = [];
  do {
    receipts.push(await t.broker.dropQueue(queue, { force: true, limit }, by, t.at(0)));
  } while (receipts.at(-1) === "more");
  return receipts;
}

describeBroker("dropping a queue", ({ it }) => {
  it("leaves nothing of it, and all of the others", async (t) => {
    const other = t.queueNamed("other");
    await t.enqueue(["completed", "archived", "retry"].map((id) => t.task(id, { retentionMs: 60_000 })));
    const [completed, archived, retry] = await t.lease();
    await t.settle([settled.completed(completed!), settled.archived(archived!), settled.retry(retry!, t.at(50_000))]);
    await t.enqueue(["pending", t.task("scheduled", {}, { processAtMs: t.at(90_000) }), t.task("1", { queue: other })]);

    expect((await dropped(t)).at(-1)).toBe("dropped");

    expect(await t.info()).toBeUndefined();
    for (const id of ["completed", "archived", "retry", "pending", "scheduled"])
      expect(await t.stateOf(id)).toBe("gone");
    expect((await t.info(0, other))?.counts.pending).toBe(1);
    expect(await t.broker.dropQueue(t.queue, { force: true, limit: 10 }, by, t.at(0))).toBe("notFound");
  });

  it("gives back the locks of its tasks, and does not outlast it as a pause", async (t) => {
    const lock = uniqueKey(t.queue, "test:plain", null);
    const unique = (id: string) => t.task(id, { uniqueKey: lock }, { uniqueForMs: 600_000 });
    await t.enqueue([unique("1")]);
    await t.broker.setPaused([t.queue], true, by, t.at(0));
    await dropped(t);

    expect(await t.enqueue([unique("2")])).toMatchObject([{ status: "enqueued" }]);
    expect(await t.info()).toMatchObject({ paused: false, processed: 0, failed: 0, counts: { pending: 1 } });
    expect((await t.leaseOne()).lease.id).toBe("2");
  });

  it("without force is for queues without tasks", async (t) => {
    const drop = () => t.broker.dropQueue(t.queue, { force: false, limit: 10 }, by, t.at(0));
    await t.enqueue([t.task("1", { retentionMs: 60_000 })]);
    expect(await drop()).toBe("notEmpty");
    await t.settle([settled.completed(await t.leaseOne())]);
    expect(await drop()).toBe("notEmpty");
    expect((await t.info())?.paused).toBe(false);

    await t.move(["1"], "deleted");
    let receipt = await drop();
    while (receipt === "more") receipt = await drop();
    expect(receipt).toBe("dropped");
  });

  it("waits for the last worker", async (t) => {
    await t.enqueue(["1", "2"]);
    const task = await t.leaseOne();

    expect(await t.broker.dropQueue(t.queue, { force: true, limit: 10 }, by, t.at(0))).toBe("active");
    expect(await t.counts()).toEqual({ pending: 1, active: 1 });

    await t.settle([settled.completed(task)]);
    expect((await dropped(t)).at(-1)).toBe("dropped");
  });

  it("goes on bit by bit, and is paused meanwhile", async (t) => {
    await t.enqueue(Array.from({ length: 25 }, (_, n) => `${n}`));
    const drop = () => t.broker.dropQueue(t.queue, { force: true, limit: 10 }, by, t.at(0));

    expect(await drop()).toBe("more");
    expect(await t.info()).toMatchObject({ paused: true, counts: { pending: 15 } });
    expect(await t.lease()).toEqual([]);
    await t.enqueue(["late"]);
    expect((await dropped(t, { limit: 10 })).at(-1)).toBe("dropped");

    expect(await t.info()).toBeUndefined();
    expect(await t.stateOf("late")).toBe("gone");
  });

  it("lets clients begin anew", async (t) => {
    await t.enqueue(["1"]);
    await dropped(t);

    await t.enqueue(["1"]);

    expect(await t.counts()).toEqual({ pending: 1 });
    expect((await t.leaseOne()).lease.id).toBe("1");
  });

  it("knows queues by their whole names", async (t) => {
    const names = ["a", "a:b", "ab"].map((name) => t.queueNamed(name)) as [string, string, string];
    await t.enqueue(names.map((queue) => t.task("1", { queue })));

    await dropped(t, { queue: names[0] });

    expect((await t.info(0, names[1]))?.counts.pending).toBe(1);
    expect((await t.info(0, names[2]))?.counts.pending).toBe(1);
    expect(await t.info(0, names[0])).toBeUndefined();
  });
});
