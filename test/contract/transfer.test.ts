import { expect } from "vitest";
import { DeadLetters } from "../../src/deadletter/index.js";
import { settled } from "../support/builders.js";
import { describeBroker, type Trial } from "./describe-broker.js";

const letters = (t: Trial) => new DeadLetters(t.broker, { actor: "ops@test" });
const all = async (lines: AsyncIterable<string>) => {
  const list: string[] = [];
  for await (const line of lines) list.push(line);
  return list;
};

async function dead(t: Trial, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, n) => `${n}`);
  await t.enqueue(ids.map((id) => t.task(id, { payload: Buffer.from([0xff, 0x00, Number(id) % 256]), maxRetry: 0 })));
  await t.settle((await t.leaseAll()).map((task) => settled.archived(task)));
  return ids;
}

describeBroker("dead letters in files", ({ it }) => {
  it("are written by a search or by ids, and come back as they were", async (t) => {
    const ids = await dead(t, 120);
    const before = await t.find("7");

    await t.broker.deadLetters!.indexDeadLetters([t.queue], 200, t.at(0), true);

    const lines = await all(letters(t).export(`queue:${t.queue}`));
    expect(lines.length).toBe(120);
    // Nothing of an engine's own indexes.
    expect(Object.keys(JSON.parse(lines[0]!).fields)).toEqual(["failure"]);
    expect(await all(letters(t).export({ queue: t.queue, ids: ["7", "nobody"] }))).toEqual(
      lines.filter((line) => JSON.parse(line).id === "7"),
    );
    await t.move(ids, "deleted");

    expect(await letters(t).import(lines, { reason: "put back" })).toEqual({
      lines: 120,
      imported: 120,
      existing: 0,
      invalid: 0,
      problems: [],
      stopped: false,
    });
    expect(await t.find("7")).toEqual(before);
    expect(await t.counts()).toEqual({ archived: 120 });
  });

  it("come back with thousands of results of effects, and so do those beside them", async (t) => {
    const refs = (await dead(t, 2)).map((id) => ({ queue: t.queue, id }));
    const store = t.broker.deadLetters!;
    const [one, other] = await store.readLetters(refs);
    const fields = new Map(Array.from({ length: 4_100 }, (_, n) => [`effect:e${n}`, Buffer.from("d1")]));
    await t.move(["0", "1"], "deleted");

    const act = { actor: "ann", reason: "a test", requestId: "r1" };
    const receipts = await store.adoptLetters([one!, { ...other!, fields }], act, t.at(0));

    expect(receipts).toEqual(["adopted", "adopted"]);
    expect(await t.ids("archived")).toEqual(["0", "1"]);
    const [, again] = await store.readLetters(refs);
    expect(again?.fields.size).toBe(4_100);
  });

  it("are put back once, and what is no dead letter is told by its line", async (t) => {
    await dead(t, 2);
    const [first, second] = await all(letters(t).export({ queue: t.queue, ids: ["0", "1"] }));
    await t.move(["1"], "deleted");

    expect(await letters(t).import(["", first!, "{}", second!, second!])).toMatchObject({
      lines: 4,
      imported: 1,
      existing: 2,
      invalid: 1,
      problems: [{ line: 3, problem: 'its format is not "holdfast.dead-letter/1"' }],
    });
    expect(await t.counts()).toEqual({ archived: 2 });
  });

  it("stop between two steps when they are told to", async (t) => {
    await dead(t, 1);
    const [line] = await all(letters(t).export({ queue: t.queue, ids: ["0"] }));
    const many = Array.from({ length: 1_200 }, (_, n) => line!.replace('"id":"0"', `"id":"n${n}"`));
    const stop = new AbortController();

    const done = await letters(t).import(many, { signal: stop.signal, onProgress: () => stop.abort() });

    expect(done).toMatchObject({ imported: 500, stopped: true });
    expect(await t.counts()).toEqual({ archived: 501 });
  });
});
