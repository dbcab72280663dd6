import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { DeadLetter, DemoReport } from "./demo-report.js";
import { printedReport } from "./tables.js";

const letter = (n: number): DeadLetter => ({
  id: `id-${n}`,
  path: `${"folder/".repeat(12)}file-${n}.json`,
  queue: "demo-low",
  attempts: 3,
  reason: "retries_exhausted",
  message: `cause ${n % 9}: ${"a long sentence ".repeat(6)}`,
});
const queue = {
  tasks: 16_000,
  completed: 15_950,
  deadLetters: 50,
  retries: 300,
  bytes: 9e9,
  lines: 9e6,
  gzipBytes: 4e9,
};
const report: DemoReport = {
  directory: "/somewhere",
  storage: "memory:",
  node: "v24.0.0",
  filesFound: 47_989,
  tasks: 48_000,
  lostTasks: 0,
  duplicatesRefused: 5,
  delayedTasks: 3,
  enqueueMs: 1_234,
  workMs: 56_789,
  first90PercentMs: 43_210,
  queues: ["demo-critical", "demo-default", "demo-low"].map((name) => ({ name, weight: 6, ...queue })),
  files: [],
  deadLetters: Array.from({ length: 150 }, (_, n) => letter(n)),
  afterwards: {
    groups: [{ fingerprint: "v1:0123456789abcdef", count: 150, message: "a long sentence" }],
    edited: { path: letter(1).path, payload: "{}", copy: "id", became: "completed" },
    healed: { fingerprint: "v1:0123456789abcdef", redriven: 149, succeeded: 149 },
  },
  unreadableFolders: [],
  stoppedAtFileLimit: false,
};
const called = { demo: "npm run demo --", demoAlone: "npm run -s demo --" };
const printedLines = () => stripVTControlCharacters(printedReport(report, called)).split("\n");

describe("the demo's report", () => {
  const columns = process.stdout.columns;
  const setColumns = (value: number | undefined) =>
    Object.defineProperty(process.stdout, "columns", { value, configurable: true, writable: true });
  beforeEach(() => setColumns(80));
  afterEach(() => setColumns(columns));

  it.each([80, 60, 40])("keeps within a terminal of %i columns", (width) => {
    setColumns(width);

    const tooLong = printedLines().filter((line) => line.length > width && !line.includes("redis://"));

    expect(tooLong).toEqual([]);
  });

  it("has its headline and the table on the last screen of 24 lines, whatever went wrong", () => {
    const lastScreen = printedLines().slice(-22);

    expect(lastScreen).toContain("47,850 of 48,000 tasks completed, 150 dead letters, in 56.79 s.");
    expect(lastScreen.findIndex((line) => line.startsWith("queue "))).toBeGreaterThan(-1);
  });

  it("breaks no sentence where there is no terminal", () => {
    setColumns(undefined);

    expect(printedLines().filter((line) => line.includes("cause 0:"))[0]).toMatch(/^ {2}17 × cause 0: .*attempts\]$/);
  });
});
