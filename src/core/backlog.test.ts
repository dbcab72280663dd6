import { expect, it } from "vitest";
import { until } from "../../test/support/until.js";
import { Backlog } from "./backlog.js";

const mebibyte = 1_048_576;

it("has room for a burst, and for no more than memory can bear once nothing of it ends any more", async () => {
  const backlog = new Backlog(20);
  const ends: (() => void)[] = [];
  const hold = (bytes: number) => backlog.hold(bytes, new Promise<void>((resolve) => ends.push(resolve)));
  expect(backlog.hasRoomFor(1_000 * mebibyte)).toBe(true);
  const first = hold(100 * mebibyte);
  const second = hold(100 * mebibyte);
  const third = hold(60 * mebibyte);
  expect([backlog.hasRoomFor(252 * mebibyte), backlog.hasRoomFor(252 * mebibyte + 1)]).toEqual([true, false]);

  await until("it is stuck", () => !backlog.hasRoomFor(1));
  ends[0]!();
  await first;
  expect(backlog.hasRoomFor(mebibyte)).toBe(true);

  await until("it is stuck again", () => !backlog.hasRoomFor(1));
  ends[1]!();
  await second;
  await until("it is stuck with less", () => !backlog.hasRoomFor(4 * mebibyte + 1));
  expect(backlog.hasRoomFor(4 * mebibyte)).toBe(true);
  ends[2]!();
  await third;
  expect([backlog.bytes, backlog.hasRoomFor(1_000 * mebibyte)]).toEqual([0, true]);
});

it("is not stuck because the event loop was", async () => {
  const backlog = new Backlog(20);
  const work = new Promise((resolve) => setImmediate(resolve));
  const held = [backlog.hold(300 * mebibyte, work), backlog.hold(1, new Promise(() => {}))];
  for (const end = performance.now() + 50; performance.now() < end;);
  await held[0];
  expect(backlog.hasRoomFor(100 * mebibyte)).toBe(true);
});
