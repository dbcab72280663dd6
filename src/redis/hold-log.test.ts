import { expect, it } from "vitest";
import { HoldLog } from "./hold-log.js";

it("shows another thread what was appended, in order, until it is cleared", () => {
  const log = new HoldLog();
  const reader = new HoldLog(log.shared);

  expect(log.append('{"queue":"é"}') && log.append("second")).toBe(true);
  expect(reader.read()).toEqual(['{"queue":"é"}', "second"]);
  log.clear();
  expect(reader.read()).toEqual([]);
});

it("takes no line that might not fit, and keeps those it has", () => {
  const log = new HoldLog();
  const line = "x".repeat(10_000);

  const taken = Array.from({ length: 10 }, () => log.append(line)).filter(Boolean).length;

  expect(taken).toBeGreaterThan(0);
  expect(log.read()).toEqual(Array.from({ length: taken }, () => line));
});

it("is not read while it is being written", () => {
  const log = new HoldLog();
  log.append("whole");

  Atomics.add(new Int32Array(log.shared, 0, 1), 0, 1);

  expect(log.read()).toEqual([]);
});
