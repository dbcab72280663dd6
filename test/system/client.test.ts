import { describe, expect, it } from "vitest";
import type { EnqueueReceipt, Producing } from "../../src/broker/broker.js";
import { DisciplinedClock } from "../../src/core/clock.js";
import type { NewTask } from "../../src/core/message.js";
import { Client, defineTask, HoldfastError } from "../../src/index.js";

const ping = defineTask<{ n: number }>("ping");

/** A broker that answers by script: each call takes the next answer, the last one stays. */
function scripted(...answers: ((tasks: readonly NewTask[]) => EnqueueReceipt[] | Promise<EnqueueReceipt[]>)[]) {
  const calls: (readonly NewTask[])[] = [];
  const broker: Producing = {
    label: "scripted",
    clock: new DisciplinedClock(),
    async enqueue(tasks) {
      calls.push(tasks);
      return answers[Math.min(calls.length, answers.length) - 1]!(tasks);
    },
    ping: async () => {},
  };
  return { broker, calls };
}
const accept = (tasks: readonly NewTask[]): EnqueueReceipt[] =>
  tasks.map((task) => ({ status: "enqueued", id: task.message.id, state: "pending" }));
const down = (outcome: "notSent" | "refused" | "unknown") => () => {
  throw new HoldfastError("BROKER_UNAVAILABLE", { broker: "scripted", problem: "cut", outcome, taskIds: [] });
};

describe("client", () => {
  it("sends what is enqueued in one turn of the event loop in one call, and answers each", async () => {
    const { broker, calls } = scripted(accept);
    const client = new Client(broker);

    const receipts = await Promise.all([1, 2, 3].map((n) => client.enqueue(ping({ n }))));

    expect(calls.map((tasks) => tasks.length)).toEqual([3]);
    expect(receipts.map((receipt) => receipt.id)).toEqual(calls[0]!.map((task) => task.message.id));
    expect(client.counters()).toMatchObject({ enqueued: 3, duplicate: 0, idTaken: 0, failed: 0 });
  });

  it("sends again under the same ids after a lost connection, as a repeat only when the outcome is unknown", async () => {
    const { broker, calls } = scripted(down("notSent"), down("unknown"), accept);
    const client = new Client(broker);

    await client.enqueue(ping({ n: 1 }));

    expect(calls.map((tasks) => tasks[0]!.repeat)).toEqual([false, false, true]);
    expect(new Set(calls.map((tasks) => tasks[0]!.message.id)).size).toBe(1);
  });

  it("fails within its timeout, naming the task and that the outcome is unknown if any try was", async () => {
    const { broker } = scripted(down("unknown"), down("notSent"));
    const client = new Client(broker, { timeout: "300ms" });
    const startedAt = performance.now();

    const error = await client.enqueue(ping({ n: 1 }, { id: "mine" })).catch((thrown: unknown) => thrown);

    expect(HoldfastError.is(error, "BROKER_UNAVAILABLE") && error.data).toMatchObject({
      outcome: "unknown",
      taskIds: ["mine"],
    });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(client.counters().failed).toBe(1);
  });

  it("does not try again what storage refuses for good", async () => {
    const { broker, calls } = scripted(() => {
      throw new HoldfastError("BROKER_FAILED", { broker: "scripted", problem: "wrong type" });
    });

    await expect(new Client(broker).enqueue(ping({ n: 1 }))).rejects.toMatchObject({ code: "BROKER_FAILED" });
    expect(calls.length).toBe(1);
  });

  it.each([[ping], [undefined], [null], ["ping"], [{ definition: {} }]])(
    "says what it takes when it is given %s",
    async (given) => {
      const { broker, calls } = scripted(accept);

      await expect(new Client(broker).enqueue(given as never)).rejects.toMatchObject({
        code: "OPTION_INVALID",
        data: { option: "enqueue" },
      });
      expect(calls).toEqual([]);
    },
  );

  it("sends nothing of a batch in which one payload is wrong", async () => {
    const { broker, calls } = scripted(accept);
    const client = new Client(broker, { maxPayloadBytes: 100 });
    const text = defineTask<string>("text");

    const error = await client.enqueueAll([text("short"), text("x".repeat(200))]).catch((thrown: unknown) => thrown);

    expect(HoldfastError.is(error, "PAYLOAD_TOO_LARGE") && error.data).toEqual({
      type: "text",
      bytes: 202,
      maxBytes: 100,
    });
    expect(calls).toEqual([]);
  });

  it.each([
    [{ timeout: 5 }, "Client.timeout"],
    [{ timeout: "5 s" }, "Client.timeout"],
    [{ maxPayloadBytes: Number.NaN }, "Client.maxPayloadBytes"],
    [{ maxPayloadBytes: 1.5 }, "Client.maxPayloadBytes"],
    [{ maxPayloadBytes: -1 }, "Client.maxPayloadBytes"],
    [{ tiemout: "5s" }, "Client.tiemout"],
  ])("refuses the options %j and names %s", (options, option) => {
    const { broker } = scripted(accept);

    expect(() => new Client(broker, options as never)).toThrow(
      expect.objectContaining({ code: "OPTION_INVALID", data: expect.objectContaining({ option }) }),
    );
  });
});
