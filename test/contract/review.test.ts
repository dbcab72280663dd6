import { expect } from "vitest";
import { DeadLetters } from "../../src/deadletter/index.js";
import { settled } from "../support/builders.js";
import { describeBroker } from "./describe-broker.js";

const day = 86_400_000;

describeBroker("the review of dead letters", ({ it }) => {
  it("tells inflow, what was done, success by attempt, stale rules, and what to change", async (t) => {
    const letters = new DeadLetters(t.broker);
    const [fine, weak] = [t.queueNamed("fine"), t.queueNamed("weak")];
    await t.enqueue(
      Array.from({ length: 50 }, (_, n) =>
        t.task(`ok-${n}`, { type: "fine", queue: fine, maxRetry: 25, retried: n % 3, retentionMs: day }),
      ),
    );
    await t.enqueue(
      Array.from({ length: 12 }, (_, n) => t.task(`no-${n}`, { type: "weak", queue: weak, maxRetry: 0 })),
    );
    await t.settle((await t.leaseAll({ queues: [fine] })).map((task) => settled.completed(task)));
    await t.settle(
      (await t.leaseAll({ queues: [weak] }, -600_000)).map((task) => settled.archived(task)),
      -600_000,
    );
    await letters.acknowledgeTasks({ queue: weak, ids: ["no-0", "no-1"] });
    const stored = { search: "type:x", action: { do: "run", attempts: 1 }, owner: "ann", mode: "live", order: 1 };
    const old = { ...stored, createdAtMs: t.at(-90 * day), sinceMs: 0, expiresAtMs: t.at(90 * day) };
    const store = t.broker.deadLetters!;
    const [rule] = await store.writeDocuments("rule", [{ id: "old", value: old, ifVersion: 0 }], t.at(0));

    const review = await letters.review({ days: 2 });
    await letters.removeRule("old");

    expect(rule).toMatchObject({ status: "written" });
    expect(review.queues.find(({ queue }) => queue === weak)).toMatchObject({ dead: 12, died: 12, failed: 12 });
    expect(review.queues.find(({ queue }) => queue === fine)).toMatchObject({ dead: 0, processed: 50, failed: 0 });
    expect(review.types.find(({ type }) => type === "fine")).toEqual({
      type: "fine",
      dead: 0,
      completed: 50,
      byAttempt: [17, 17, 16],
      maxRetry: 25,
    });
    expect(review.acknowledged.count).toBeGreaterThanOrEqual(2);
    expect(review.acknowledged.medianMs).toBeGreaterThanOrEqual(600_000);
    expect(review.staleRules).toEqual([{ name: "old", owner: "ann", why: "nothing has matched it for 90 d" }]);
    expect(review.advice).toContain('type "weak": 12 died at their first failure, for it has no retries (maxRetry 0)');
    expect(review.advice.find((text) => text.includes('"fine"'))).toMatch(
      /^type "fine": 100 % of the 50 that succeeded did so by attempt 3\. maxRetry 25 burns up to 23 more attempts on what will not, over about \d+ d with the default back-off: maxRetry 4 would do$/,
    );
    expect(review.unknown.join(" ")).toContain('Success by attempt of "weak"');
  });

  it("says nothing of a policy by a few tasks", async (t) => {
    const queue = t.queueNamed("few");
    await t.enqueue([t.task("one", { type: "few", queue, maxRetry: 25, retentionMs: day })]);
    await t.settle((await t.leaseAll({ queues: [queue] })).map((task) => settled.completed(task)));

    const { advice, types } = await new DeadLetters(t.broker).review();
    expect(types.map(({ type }) => type)).toContain("few");
    expect(advice.filter((text) => text.includes('"few"'))).toEqual([]);
  });
});
