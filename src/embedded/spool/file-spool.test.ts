import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { newTask } from "../../../test/support/builders.js";
import { loadDriver } from "../driver.js";
import { pack } from "../packed.js";
import { FileSpool } from "./file-spool.js";
import { encodeRecord } from "./record.js";
import { spoolPlan } from "./spool-options.js";
import type { SpoolNews } from "./spool-protocol.js";

const hourMs = 3_600_000;
const driver = await loadDriver();
let folder: string;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date", "performance"] });
  folder = mkdtempSync(join(tmpdir(), "holdfast-spool-"));
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

it("tells once that a task has waited longer than maxAge, and keeps it", () => {
  const news: SpoolNews[] = [];
  const spool = new FileSpool(driver, spoolPlan({ directory: folder, maxAge: "2h" }), 0, (one) => news.push(one));
  const acceptedAtMs = Date.now();
  const records = pack([encodeRecord(newTask({ id: "a" }))]);
  spool.run([{ verb: "append", ids: ["a"], records, nowMs: acceptedAtMs }]);
  const tellings = () => news.filter((one) => one.news === "old");
  const later = (ms: number) => {
    vi.advanceTimersByTime(ms);
    spool.tend();
  };

  later(hourMs);
  expect(tellings()).toEqual([]);

  later(hourMs + 1);
  later(hourMs);
  expect(tellings()).toEqual([{ news: "old", oldestAtMs: acceptedAtMs }]);
  expect(spool.run([{ verb: "stats" }])).toMatchObject([{ value: { tasks: 1, oldestAtMs: acceptedAtMs } }]);
  spool.close();
});
