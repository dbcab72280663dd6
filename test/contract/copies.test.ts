import { expect } from "vitest";
import { z } from "zod";
import { DeadLetters } from "../../src/deadletter/index.js";
import { uniqueKey } from "../../src/core/message.js";
import { defineTask } from "../../src/core/task.js";
import { settled } from "../support/builders.js";
import { describeBroker, type Trial } from "./describe-broker.js";

const letters = (t: Trial) => new DeadLetters(t.broker, { actor: "ops@test" });
const original = '{"order": 9007199254740993, "b": 1, "a": 2}';

async function dead(t: Trial, fields: Parameters<Trial["task"]>[1] = {}, how: Parameters<Trial["task"]>[2] = {}) {
  await t.enqueue([t.task("a", { payload: Buffer.from(original), maxRetry: 3, retried: 3, ...fields }, how)]);
  await t.settle([settled.archived(await t.leaseOne())]);
}
const textOf = async (t: Trial, id: string, queue = t.queue) =>
  Buffer.from((await t.find(id, queue))!.message!.payload).toString();

describeBroker("copies of dead letters", ({ it }) => {
  it("have the edited payload byte for byte, and know of each other", async (t) => {
    await dead(t, { headers: { trace: "t1" }, retentionMs: 60_000 });
    const before = await t.find("a");
    const payload = '{"order": 9007199254740995, "b": 1, "a": 2}';

    const copied = await letters(t).copy(t.queue, "a", { payload, reason: "wrong order" });

    if (copied.status !== "copied") throw new Error(copied.status);
    expect(copied).toMatchObject({ queue: t.queue, again: false });
    expect(await textOf(t, copied.id)).toBe(payload);
    expect(await t.find(copied.id)).toMatchObject({
      state: "pending",
      message: {
        type: "test:plain",
        retried: 0,
        maxRetry: 3,
        retentionMs: 60_000,
        lastError: "",
        headers: { trace: "t1", "hf-of": `${t.queue}/a` },
      },
    });
    expect(await t.find("a")).toEqual({
      ...before,
      copies: [{ queue: t.queue, id: copied.id, atMs: expect.any(Number), actor: "ops@test", reason: "wrong order" }],
    });
  });

  it("come to another queue, as they are where no payload is given", async (t) => {
    const queue = t.queueNamed("fix-up");
    await dead(t);

    const copied = await letters(t).copy(t.queue, "a", { queue });

    expect(copied).toMatchObject({ status: "copied", queue });
    expect(await textOf(t, "id" in copied ? copied.id : "", queue)).toBe(original);
    expect((await t.info(0, queue))?.counts.pending).toBe(1);
  });

  it("are made once for a request, also when the first one broke off at any step", async (t) => {
    await dead(t);
    const ask = () => letters(t).copy(t.queue, "a", { payload: "{}", requestId: "r1" });
    const first = await ask();
    expect(await ask()).toEqual({ ...first, again: true });

    const copy = { queue: t.queue, id: "reserved", digest: "" };
    const { broker } = t;
    const by = { actor: "ops@test", reason: "", requestId: "r2" };
    // As a call leaves it that ended before it enqueued.
    const again = () => letters(t).copy(t.queue, "a", { payload: "{}", requestId: "r2" });
    const reserved = await brokenOff(t, () => again());
    expect(reserved).toMatchObject({ status: "copied", again: true });
    expect(await t.counts()).toEqual({ archived: 1, pending: 2 });
    await expect(letters(t).copy(t.queue, "a", { payload: "[]", requestId: "r2" })).rejects.toMatchObject({
      code: "OPTION_INVALID",
    });

    await broker.deadLetters!.beginCopy(
      { queue: t.queue, id: "a" },
      { ...copy, digest: await digestOf(t, "{}") },
      { ...by, requestId: "r3" },
      Date.now() - 3_600_000,
    );
    expect(await letters(t).copy(t.queue, "a", { payload: "{}", requestId: "r3" })).toEqual({
      status: "unknown",
      queue: t.queue,
      id: "reserved",
    });
  });

  it("name the task that has the unique lock, and leave no trace then", async (t) => {
    const lock = (payload: string) => uniqueKey(t.queue, "test:plain", Buffer.from(payload));
    await dead(t, { uniqueKey: lock(original) }, { uniqueForMs: 600_000 });

    expect(await letters(t).copy(t.queue, "a")).toEqual({ status: "duplicate", holder: "a" });
    expect((await t.find("a"))?.copies).toBeUndefined();
    const copied = await letters(t).copy(t.queue, "a", { payload: "{}" });
    expect(copied.status).toBe("copied");
    expect(await letters(t).copy(t.queue, "a", { payload: "{}" })).toEqual({
      status: "duplicate",
      holder: "id" in copied ? copied.id : "",
    });
  });

  it("are refused a payload that cannot be right", async (t) => {
    await dead(t);
    const definition = defineTask("test:plain", { schema: z.object({ order: z.number().int() }) });
    const copy = (payload: string | Uint8Array, more = {}) => letters(t).copy(t.queue, "a", { payload, ...more });

    await expect(copy('{"order": }')).rejects.toMatchObject({ code: "PAYLOAD_INVALID" });
    await expect(copy('{"order": "x"}', { definition })).rejects.toMatchObject({ code: "PAYLOAD_INVALID" });
    await expect(copy("{}", { definition: defineTask("other") })).rejects.toMatchObject({ code: "OPTION_INVALID" });
    await expect(copy("[1, 2]", { maxPayloadBytes: 3 })).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    expect(await copy('{"order": 1}', { definition })).toMatchObject({ status: "copied" });
    expect(await copy(Buffer.from([0xff, 0x00]), { anyBytes: true })).toMatchObject({ status: "copied" });
  });

  it("are made of dead letters alone", async (t) => {
    await t.enqueue(["waits"]);

    expect(await letters(t).copy(t.queue, "waits")).toEqual({ status: "wrongState" });
    expect(await letters(t).copy(t.queue, "nobody")).toEqual({ status: "notFound" });
  });

  it("do not inherit a deadline that has passed, nor what is special about a crash", async (t) => {
    await dead(t, { deadlineMs: 1_000, timeoutMs: 0 }, { atMostOnce: true });

    const copied = await letters(t).copy(t.queue, "a");

    expect(await t.find("id" in copied ? copied.id : "")).toMatchObject({
      message: { deadlineMs: 0, timeoutMs: 1_800_000 },
    });
    await t.leaseOne({ leaseMs: 5_000 });
    expect(await t.reclaim(10_000)).toMatchObject([{ to: "archived" }]);
  });
});

/** Runs a call whose enqueue never gets out, then the same call again. */
async function brokenOff<T>(t: Trial, call: () => Promise<T>): Promise<T> {
  const { broker } = t;
  const enqueue = broker.enqueue.bind(broker);
  broker.enqueue = async () => {
    throw new Error("the process died");
  };
  try {
    await expect(call()).rejects.toThrow("the process died");
  } finally {
    broker.enqueue = enqueue;
  }
  return call();
}

/** What the copy with this payload is told by: as its first call noted it. */
async function digestOf(t: Trial, payload: string): Promise<string> {
  const { createHash } = await import("node:crypto");
  return createHash("sha256").update(`${t.queue}\0`).update(payload).digest("hex").slice(0, 16);
}
