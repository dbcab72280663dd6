import { describe, expect, it } from "vitest";
import { until } from "../../test/support/until.js";
import { Leaving } from "./leaving.js";
import type { Answered } from "./release.js";

const tasks = (from: number, to: number): Answered[] =>
  Array.from({ length: to - from }, (_, n) => ({
    sequence: from + n,
    id: `${from + n}`,
    outcome: { status: "enqueued", id: `${from + n}`, state: "pending" },
    atMs: 0,
    storageMs: 0,
  }));

/** Its file takes a part when it is told to. */
function open() {
  const left: number[] = [];
  const waiting: (() => void)[] = [];
  let isDone = false;
  const leaving = new Leaving({
    release: (part) =>
      new Promise((resolve) => {
        waiting.push(() => {
          left.push(...part.map(({ sequence }) => sequence));
          resolve();
        });
      }),
    onReleased: () => {},
    onTrouble: () => {},
    onDone: () => (isDone = true),
    over: new AbortController().signal,
  });
  const part = () => until("a part is on its way", () => waiting.shift());
  return { leaving, left, part, isDone: () => isDone };
}

describe("what leaves the spool", () => {
  it("goes part by part, in order, with what comes while a part is on its way", async () => {
    const { leaving, left, part, isDone } = open();
    leaving.add(tasks(0, 1_500));

    const first = await part();
    leaving.add(tasks(1_500, 1_600));
    first();
    const second = await part();
    expect([leaving.has(999), leaving.has(1_000)]).toEqual([false, true]);
    leaving.add(tasks(1_600, 1_700));
    second();
    (await part())();
    await leaving.end();

    expect(left).toEqual(tasks(0, 1_700).map(({ sequence }) => sequence));
    expect([leaving.has(1_699), isDone()]).toEqual([false, true]);
  });

  it("goes also when it comes just when the last of the others has left", async () => {
    const left: number[] = [];
    const leaving = new Leaving({
      release: async (part) => void left.push(...part.map(({ sequence }) => sequence)),
      onReleased: () => {},
      onTrouble: () => {},
      onDone: () => {
        if (left.length === 1) queueMicrotask(() => leaving.add(tasks(1, 2)));
      },
      over: new AbortController().signal,
    });
    leaving.add(tasks(0, 1));

    await until("both have left", () => left.length === 2);
    expect(left).toEqual([0, 1]);
  });
});
