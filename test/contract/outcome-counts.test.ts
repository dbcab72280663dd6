import { expect } from "vitest";
import { maxOutcomeKinds } from "../../src/broker/outcome-counts.js";
import { describeBroker, type Trial } from "./describe-broker.js";

const store = (t: Trial) => t.broker.deadLetters!;
const one = (queue: string, type: string, outcome: string, count: number, reason = "") => ({
  queue,
  type,
  outcome,
  reason,
  count,
});
const sorted = async (t: Trial, queues: readonly string[]) =>
  (await store(t).outcomeCounts(queues)).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

describeBroker("how attempts ended", ({ it }) => {
  it("is added up by queue, type, outcome and reason", async (t) => {
    const other = t.queueNamed("other");
    await store(t).countOutcomes([
      one(t.queue, "mail", "completed", 3),
      one(other, "mail", "completed", 5),
      one(t.queue, 'a "b"\n', "archived", 1, "timeout"),
    ]);
    await store(t).countOutcomes([one(t.queue, "mail", "completed", 4), one(t.queue, "mail", "retry", 2, "failed")]);

    expect(await sorted(t, [t.queue, t.queueNamed("none")])).toEqual([
      one(t.queue, 'a "b"\n', "archived", 1, "timeout"),
      one(t.queue, "mail", "completed", 7),
      one(t.queue, "mail", "retry", 2, "failed"),
    ]);
    expect(await sorted(t, [other])).toEqual([one(other, "mail", "completed", 5)]);
  });

  it("has no more kinds than are bounded: what comes beyond is of another type", async (t) => {
    const types = Array.from({ length: maxOutcomeKinds + 5 }, (_, n) => one(t.queue, `t${n}`, "completed", 1));
    await store(t).countOutcomes(types);
    await store(t).countOutcomes([one(t.queue, "t1", "completed", 1)]);

    const counts = await store(t).outcomeCounts([t.queue]);
    expect(counts).toHaveLength(maxOutcomeKinds + 1);
    expect(counts).toContainEqual(one(t.queue, "other", "completed", 5));
    expect(counts).toContainEqual(one(t.queue, "t1", "completed", 2));
  });
});
