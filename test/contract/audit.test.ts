import { expect } from "vitest";
import { Inspector } from "../../src/index.js";
import { by, describeBroker, type Trial } from "./describe-broker.js";

const read = async (t: Trial, log: string, after?: string, newest = false) =>
  (await t.broker.audit.read([{ log, after }], 100, newest))[0]!;

/** The log for all queues is shared by all tests of an engine. */
const endOf = async (t: Trial) => (await read(t, "", undefined, true))[0]?.id;

describeBroker("what was done by hand", ({ it }) => {
  it("is in the log of its queue, numbered in order", async (t) => {
    await t.enqueue(["1", "2"]);
    await t.broker.setPaused([t.queue], true, by, t.at(0));
    await t.move(["1", "2"], "archived");
    await t.broker.setPaused([t.queue], false, { ...by, reason: "" }, t.at(1_000));

    const acts = await read(t, t.queue);

    const same = { log: t.queue, actor: by.actor, requestId: by.requestId };
    expect(acts).toMatchObject([
      { ...same, number: 1, verb: "pause", what: "", count: 0, reason: by.reason, atMs: t.at(0) },
      { ...same, number: 2, verb: "archive", what: '["1","2"]', count: 2 },
      { ...same, number: 3, verb: "resume", reason: "", atMs: t.at(1_000) },
    ]);
    expect(await t.broker.audit.logs()).toEqual(expect.arrayContaining(["", t.queue]));
    expect(await read(t, t.queue, acts[0]!.id)).toEqual(acts.slice(1));
    expect(await read(t, t.queue, acts[1]!.id, true)).toEqual(acts.slice(2));
    expect(await read(t, t.queue, undefined, true)).toEqual(acts.toReversed());
    expect(await t.broker.audit.read([{ log: t.queue }, { log: "unknown" }], 1)).toEqual([acts.slice(0, 1), []]);
  });

  it("holds no secret that slipped into a reason", async (t) => {
    await t.enqueue(["1"]);
    await new Inspector(t.broker).pause(t.queue, { reason: "moved to redis://ops:hunter2@db-1/0" });

    const [act] = await read(t, t.queue);
    expect(act!.reason).toContain("moved to");
    expect(act!.reason).not.toContain("hunter2");
  });

  it("is in the log for all where it belongs to no queue", async (t) => {
    const after = await endOf(t);
    const act = { ...by, verb: "rule add", what: "rule:7", count: 3 };

    await t.broker.audit.append([act, { ...act, verb: "rule remove", count: 0 }], t.at(0));
    await t.broker.audit.append([], t.at(0));

    const acts = await read(t, "", after);
    expect(acts).toMatchObject([{ ...act, log: "", atMs: t.at(0) }, { verb: "rule remove" }]);
    expect(acts[1]!.number! - acts[0]!.number!).toBe(1);
  });

  it("outlasts the queue when that is dropped", async (t) => {
    const after = await endOf(t);
    await t.enqueue(["1"]);
    await t.broker.setPaused([t.queue], true, by, t.at(0));
    while ((await t.broker.dropQueue(t.queue, { force: true, limit: 100 }, by, t.at(0))) === "more");

    const acts = [...(await read(t, t.queue)), ...(await read(t, "", after))];

    const drop = acts.find(({ verb, log, what }) => verb === "drop" && (log || JSON.parse(what).queue) === t.queue);
    expect(drop).toMatchObject(by);
  });
});
