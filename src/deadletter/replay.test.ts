import { describe, expect, it } from "vitest";
import { z } from "zod";
import { message } from "../../test/support/builders.js";
import type { StoredLetter } from "../broker/stored-letter.js";
import { encodeMessage } from "../core/codec.js";
import type { TaskMessage } from "../core/message.js";
import { fixed } from "../core/retry.js";
import { SkipRetry } from "../core/steering.js";
import { defineTask } from "../core/task.js";
import type { TaskContext } from "../worker/handlers.js";
import { replay, type ReplayContext } from "./replay.js";

const letter = (fields: Partial<TaskMessage> = {}, known: Record<string, string> = {}): StoredLetter => ({
  queue: "billing",
  id: "a",
  archivedAtMs: 0,
  message: encodeMessage(
    message({ id: "a", queue: "billing", payload: Buffer.from('{"n":1}'), maxRetry: 3, retried: 3, ...fields }),
  ),
  fields: new Map(Object.entries(known).map(([name, value]) => [name, Buffer.from(value)])),
});
// A handler written for a worker takes it.
const asWorkers = (context: ReplayContext): TaskContext => context;

describe("a handler on a stored task, here", () => {
  it("gets payload, headers, attempt and signal, and its result is told", async () => {
    const stop = new AbortController();
    const seen: unknown[] = [];

    const told = await replay(
      letter({ headers: { trace: "t1" } }, { crashes: "2" }),
      async (payload: { n: number }, task: ReplayContext) => {
        const { id, type, queue, attempt, maxRetry, headers, crashes, signal } = asWorkers(task);
        seen.push({ payload, id, type, queue, attempt, maxRetry, trace: headers["trace"], crashes, signal });
        task.progress("half");
        return payload.n + 1;
      },
      { signal: stop.signal, onProgress: (value) => seen.push(value) },
    );

    expect(told).toMatchObject({ status: "completed", result: 2, attempt: 4 });
    expect(seen).toEqual([
      {
        payload: { n: 1 },
        id: "a",
        type: "test:plain",
        queue: "billing",
        attempt: 4,
        maxRetry: 3,
        trace: "t1",
        crashes: 2,
        signal: stop.signal,
      },
      "half",
    ]);
  });

  it("tells what a worker would make of its error", async () => {
    const failing = (error: Error) => () => {
      throw error;
    };
    const spent = await replay(letter(), failing(new Error("boom")));
    const skipped = await replay(letter({ retried: 0 }), failing(new SkipRetry("never")));
    const definition = defineTask("test:plain", { retry: fixed("90s") });
    const again = await replay(letter({ retried: 1 }), failing(new Error("boom")), { definition });

    expect(spent).toMatchObject({ status: "failed", outcome: { kind: "archived" } });
    expect(skipped).toMatchObject({ outcome: { kind: "archived", failure: { reason: "skip_retry" } } });
    expect(again).toMatchObject({ error: { message: "boom" }, outcome: { kind: "retry", counts: true } });
  });

  it("is not called with a payload that its definition does not take", async () => {
    const definition = defineTask("test:plain", { schema: z.object({ n: z.string() }) });
    let called = false;

    const told = await replay(letter(), () => (called = true), { definition });

    expect([called, told.status]).toEqual([false, "failed"]);
    expect(told).toMatchObject({
      error: { code: "PAYLOAD_INVALID" },
      outcome: { failure: { reason: "schema_mismatch" } },
    });
  });

  it("does no effect again that is stored as done, and what it does is known in this run alone", async () => {
    const stored = letter({}, { "effect:mail": 'd"sent"', "effect:bill": "btoken" });
    let effects = 0;
    const effect = () => (effects += 1);

    const told = await replay(stored, async (_: unknown, task: ReplayContext) => [
      await task.once("mail", () => "again"),
      await task.once("bill", () => "twice", { ifInterrupted: () => "found" }),
      await task.once("new", effect),
      await task.once("new", effect),
    ]);
    const interrupted = await replay(stored, (_: unknown, task: ReplayContext) => task.once("bill", () => "twice"));

    expect(told).toMatchObject({ result: ["sent", "found", 1, 1] });
    expect(interrupted).toMatchObject({ error: { code: "EFFECT_INTERRUPTED" } });
  });

  it("is not called where nobody can read the task", async () => {
    await expect(replay({ ...letter(), message: Buffer.from([0xff]) }, () => 1)).rejects.toMatchObject({
      code: "OPTION_INVALID",
    });
  });
});
