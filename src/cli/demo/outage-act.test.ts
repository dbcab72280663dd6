import { expect, it } from "vitest";
import { type OutageReport, outcomeLines } from "./outage-act.js";

const report: OutageReport = {
  accepted: 4,
  spooled: 2,
  breaker: ["open", "closed"],
  redisAwayMs: 1,
  firstTaskMs: 1,
  drainedMs: 1,
  lost: [],
  ranTwice: [],
  runs: {},
};

it("counts what was lost and what ran twice, and says why", () => {
  expect(outcomeLines(report)).toEqual(["accepted 4, lost 0, run twice 0"]);
  const why = "its lease had run out before its outcome was settled";
  const ranTwice = ["a", "b"].map((id) => ({ id, why }));
  expect(outcomeLines({ ...report, lost: ["c"], ranTwice })).toEqual([
    `2 ran twice: ${why}`,
    "accepted 4, lost 1, run twice 2",
  ]);
});
