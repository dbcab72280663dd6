import { describe, expect, it } from "vitest";
import { failure } from "../../../test/support/builders.js";
import { unreadableFailure } from "../../broker/inferred.js";
import type { TaskInfo } from "../../index.js";
import { failureLines } from "./failures.js";

const nowMs = Date.UTC(2026, 10, 22, 12);
const shown = (task: Partial<TaskInfo>) =>
  failureLines(task as TaskInfo, nowMs)
    .join("\n")
    // oxlint-disable-next-line no-control-regex
    .replaceAll(/\u001b\[\d+m/g, "");

describe("failures of a task, for people", () => {
  it("say why, when, where and by which build, what was said last, and what was before", () => {
    const text = shown({
      failure: failure({
        reason: "retries_exhausted",
        class: "TypeError",
        message: "boom\nof two lines",
        startedAtMs: nowMs - 60_000,
        durationMs: 1_500,
        attempt: 2,
        host: "node-7",
        build: "1.4.2",
        log: ["0.001s began"],
        logUrl: "https://logs/?q=1",
      }),
      history: [failure({ message: "older", attempt: 1 }), failure({ message: "newer", host: "node-3" })],
    });

    expect(text).toContain("Failure  TypeError [retries_exhausted]");
    expect(text).toContain("2026-11-22 11:59:00 UTC (1 m ago), took 1 s, attempt 2, on node-7, build 1.4.2");
    for (const part of ["boom", "of two lines", "0.001s began", "https://logs/?q=1"]) expect(text).toContain(part);
    expect(text.indexOf("Error: newer [failed]")).toBeLessThan(text.indexOf("Error: older [failed]"));
  });

  it("show no secret that somebody stored, but who archived a task", () => {
    const stored = "password=hunter2";
    const secrets = shown({
      failure: failure({ message: stored, stack: `Error: ${stored}\n    at a`, log: [stored] }),
      history: [failure({ message: stored })],
    });
    const byHand = shown({
      failure: failure({ reason: "manual", message: "by ops@example.com", actor: "ops@example.com" }),
    });

    expect(secrets).not.toContain("hunter2");
    expect(shown({ message: { lastError: stored } as TaskInfo["message"], failure: undefined })).not.toContain(
      "hunter2",
    );
    expect(byHand).toContain("ops@example.com");
  });

  it("say what is inferred, and nothing where there is nothing", () => {
    expect(shown({ failure: failure({ class: "", inferred: true }) })).toMatch(/Failure {2}\[failed\]\n.*inferred/);
    expect(shown({ failure: unreadableFailure(nowMs) })).not.toContain("Go program");
    expect(shown({ failure: undefined })).toBe("");
  });
});
