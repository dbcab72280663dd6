import { expect } from "vitest";
import { by, describeBroker, idsOf } from "./describe-broker.js";

describeBroker("pausing queues", ({ it }) => {
  it("keeps its tasks where they are until it is resumed", async (t) => {
    await t.enqueue(["1"]);

    expect(await t.broker.setPaused([t.queue], true, by, t.at(0))).toEqual(["changed"]);
    await t.enqueue(["2"]);
    expect(await t.info()).toMatchObject({ paused: true, counts: { pending: 2 } });
    expect(await t.lease()).toEqual([]);

    expect(await t.broker.setPaused([t.queue], false, by, t.at(0))).toEqual(["changed"]);
    expect((await t.info())?.paused).toBe(false);
    expect(idsOf(await t.lease())).toEqual(["1", "2"]);
  });

  it("answers for each queue, in order", async (t) => {
    const [a, b, none] = ["a", "b", "none"].map((name) => t.queueNamed(name)) as [string, string, string];
    await t.enqueue([a, b].map((queue) => t.task("1", { queue })));
    await t.broker.setPaused([b], true, by, t.at(0));

    expect(await t.broker.setPaused([none, b, a], true, by, t.at(0))).toEqual(["notFound", "unchanged", "changed"]);
    expect(await t.broker.setPaused([none, a], false, by, t.at(0))).toEqual(["notFound", "changed"]);
    expect(await t.broker.setPaused([a], false, by, t.at(0))).toEqual(["unchanged"]);
    expect(await t.broker.setPaused([], true, by, t.at(0))).toEqual([]);
    expect((await t.info(0, b))?.paused).toBe(true);
    expect(await t.info(0, none)).toBeUndefined();
  });

  it("resumes an empty queue, too", async (t) => {
    await t.enqueue(["1"]);
    await t.broker.setPaused([t.queue], true, by, t.at(0));
    await t.move(["1"], "deleted");

    expect(await t.broker.setPaused([t.queue], false, by, t.at(0))).toEqual(["changed"]);
    expect(await t.counts()).toEqual({});
  });
});
