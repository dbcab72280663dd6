import { expect, it } from "vitest";
import { count, counted } from "./counting.js";

it("numbers are written for people, with their noun", () => {
  expect([count(0), count(999), count(1_234_567.8)]).toEqual(["0", "999", "1,234,568"]);
  expect([0, 1, 1_000].map((n) => counted(n, "task"))).toEqual(["0 tasks", "1 task", "1,000 tasks"]);
  expect(counted(2, "line is", "lines are")).toBe("2 lines are");
});
