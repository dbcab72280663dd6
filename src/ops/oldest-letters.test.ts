import { expect, it } from "vitest";
import type { LettersFrom } from "../broker/letter-marks.js";
import { OldestLetters } from "./oldest-letters.js";

/** So many dead letters a queue, one a second, of which all but some are acknowledged; a place is how many come before it. */
function archive(letters: number, open: Set<number>) {
  let looked = 0;
  return {
    get looked() {
      return looked;
    },
    async oldestUnacknowledged(from: readonly LettersFrom[], limit: number) {
      return from.map(({ place = "0" }) => {
        const begin = Number(place);
        const end = Math.min(letters, begin + limit);
        const found = [...open].filter((one) => one >= begin && one < end).toSorted((a, b) => a - b)[0];
        looked += (found ?? end) - begin;
        return {
          atMs: found === undefined ? undefined : found * 1_000,
          count: letters - (found ?? end),
          more: found === undefined && end < letters,
          place: String(found ?? end),
        };
      });
    },
  };
}

it("passes those that are acknowledged once, some in each look, and holds to what it knows meanwhile", async () => {
  const open = new Set([12_000]);
  const store = archive(12_001, open);
  const oldest = new OldestLetters(500);
  const look = async (nowMs: number) => (await oldest.look(store, ["mail"], nowMs))[0];

  expect(await look(0)).toBeUndefined();
  expect(store.looked).toBe(5_000);
  expect(await look(1)).toBeUndefined();
  expect(await look(2)).toEqual({ atMs: 12_000_000, count: 1 });
  await look(3);
  expect(store.looked).toBe(12_000);

  open.delete(12_000);
  expect(await look(4)).toEqual({ atMs: undefined, count: 0 });
  // Somebody took an acknowledgement back.
  open.add(7_000);
  expect(await look(599_999)).toEqual({ atMs: undefined, count: 0 });
  expect(await look(600_000)).toEqual({ atMs: undefined, count: 0 });
  expect(await look(600_001)).toEqual({ atMs: 7_000_000, count: 5_001 });
});

it("finds one behind more that are acknowledged than it passes before it looks anew, and hears when that is, too", async () => {
  const open = new Set([1_500]);
  const store = archive(1_501, open);
  const queues = Array.from({ length: 500 }, (_, n) => `q${n}`);
  const oldest = new OldestLetters(500);
  // Ten of each queue in a look, one every five seconds.
  let nowMs = 0;
  const look = async () => (await oldest.look(store, queues, (nowMs += 5_000)))[0];
  const looks = async (most: number) => {
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    for (let n = 1; n < most; n += 1) await look();
    return look();
  };

  expect(await looks(151)).toEqual({ atMs: 1_500_000, count: 1 });
  open.clear();
  expect(await looks(151)).toEqual({ atMs: undefined, count: 0 });
});

it("looks at no more in one trip, however many queues there are", async () => {
  const store = archive(1_000, new Set());
  const queues = Array.from({ length: 1_000 }, (_, n) => `q${n}`);

  await new OldestLetters(500).look(store, queues, 0);

  expect(store.looked).toBe(10_000);
});
