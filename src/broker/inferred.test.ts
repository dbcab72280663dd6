import { describe, expect, it } from "vitest";
import { message } from "../../test/support/builders.js";
import { inferredFailure } from "./inferred.js";

const diedMs = 1_800_000_000_000;
const dead = { lastFailedAtMs: diedMs, retried: 3, maxRetry: 3 };

describe("why a dead letter of Go died", () => {
  it.each([
    ["no retry is left", { lastError: "boom" }, "retries_exhausted", ""],
    ["it panicked", { lastError: "panic error cause by: panic [a.go:1]: boom" }, "retries_exhausted", "panic"],
    ["its worker died", { lastError: "asynq: task lease expired" }, "lease_expired", ""],
    ["its time was up", { lastError: "context deadline exceeded" }, "timeout", ""],
    ["it said so", { lastError: "bad: skip retry for the task" }, "skip_retry", ""],
    ["retries were left", { lastError: "bad", retried: 1 }, "skip_retry", ""],
    ["nothing had failed", { lastError: "", lastFailedAtMs: 0, retried: 0 }, "manual", "Archived"],
    ["it failed long before", { lastError: "boom", lastFailedAtMs: diedMs - 60_000 }, "manual", "Archived"],
  ] as const)("%s", (_, fields, reason, name) => {
    const failure = inferredFailure(message({ ...dead, ...fields }), diedMs);

    expect(failure).toMatchObject({ reason, class: name, startedAtMs: diedMs, inferred: true });
  });

  it("is told without secrets", () => {
    expect(inferredFailure(message({ ...dead, lastError: "password=hunter2" }), diedMs).message).toBe(
      "password=[secret]",
    );
  });
});
