import { describe, expect, it } from "vitest";
import type { Act, MoveReceipt } from "../broker/roles.js";
import { DisciplinedClock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import type { PageRequest, Selection, TaskInfo } from "../core/info.js";
import type { TaskMessage } from "../core/message.js";
import { type TaskState, taskStates } from "../core/state.js";
import { Inspector, type InspectorBroker } from "./inspector.js";
import type { BulkProgress } from "./options.js";

/** A queue "q" whose tasks are names: "a1" is of type "a". Moved ones leave it; cursors are places, as on a list. */
class FakeBroker {
  readonly label = "fake:";
  readonly clock = new DisciplinedClock();
  readonly acts: Act[] = [];
  readonly calls: string[] = [];
  tasks: string[] = [];
  /** Before each move. */
  onMove: (() => void) | undefined;
  drops: ("more" | "active" | "notEmpty" | "dropped")[] = [];

  async queues(_: number, names: readonly string[]) {
    if (!names.includes("q")) return [];
    const counts = Object.fromEntries(taskStates.map((state) => [state, this.tasks.length])) as Record<
      TaskState,
      number
    >;
    return [{ name: "q", paused: false, counts, processed: 0, failed: 0, latencyMs: 0 }];
  }
  async find(refs: readonly { id: string }[]) {
    return refs.map(({ id }) => (this.tasks.includes(id) ? this.#info(id) : undefined));
  }
  async list(_: Selection, { limit, cursor, backwards }: PageRequest) {
    this.calls.push(`list ${limit}`);
    const at = cursor === undefined ? undefined : this.tasks.indexOf(cursor);
    const from = backwards === true ? Math.max(0, (at ?? this.tasks.length) - limit) : at === undefined ? 0 : at + 1;
    const to = backwards === true ? (at ?? this.tasks.length) : from + limit;
    const ids = this.tasks.slice(from, to);
    return {
      items: ids.map((id) => this.#info(id)),
      next: to < this.tasks.length ? ids.at(-1) : undefined,
      previous: from > 0 ? ids[0] : undefined,
    };
  }
  async move(selection: Selection, to: string, by: Act, { limit, attempts }: { limit: number; attempts?: number }) {
    this.calls.push(
      `${to} ${"ids" in selection ? selection.ids.length : limit}${attempts === undefined ? "" : ` +${attempts}`}`,
    );
    this.acts.push(by);
    this.onMove?.();
    const wanted = "ids" in selection ? selection.ids : this.tasks.slice(0, limit);
    const there = new Set(this.tasks);
    this.tasks = this.tasks.filter((id) => !wanted.includes(id));
    return (
      "ids" in selection
        ? { receipts: wanted.map((id) => (there.has(id) ? "moved" : "notFound")) }
        : { moved: wanted.length, skipped: 0, cursor: this.tasks.length > 0 ? "front" : undefined }
    ) satisfies MoveReceipt;
  }
  async dropQueue() {
    return this.drops.shift() ?? "more";
  }
  async setPaused(queues: readonly string[]) {
    return queues.map((queue) => (queue === "q" ? "changed" : "notFound"));
  }
  async updatePayload(_: unknown, payload: Uint8Array) {
    this.calls.push(Buffer.from(payload).toString());
    return "updated";
  }
  async history() {
    return [[]];
  }

  #info(id: string): TaskInfo {
    const message = { type: id[0], lastError: "" } as TaskMessage;
    return { id, queue: "q", state: "retry", message, crashes: 0 } as TaskInfo;
  }
}

const names = (type: string, count: number) => Array.from({ length: count }, (_, n) => `${type}${n}`);

function opened(...tasks: string[]) {
  const broker = new FakeBroker();
  broker.tasks = tasks;
  return { broker, inspector: new Inspector(broker as unknown as InspectorBroker, { actor: "ann" }) };
}

describe("a selection by state", () => {
  const retry = { queue: "q", state: "retry" } as const;

  it("is moved in batches until all is done, with progress after each", async () => {
    const { broker, inspector } = opened(...names("a", 1_200));
    const seen: BulkProgress[] = [];

    const done = await inspector.run(retry, { attempts: 3, onProgress: (progress) => seen.push(progress) });

    expect(done).toEqual({ moved: 1_200, skipped: 0, scanned: 1_200, cursor: undefined });
    expect(broker.calls).toEqual(["pending 500 +3", "pending 500 +3", "pending 200 +3"]);
    expect(seen.map(({ moved, total }) => [moved, total])).toEqual([500, 1_000, 1_200].map((moved) => [moved, 1_200]));
  });

  it("ends with what was there when it began, though tasks come back", async () => {
    const { broker, inspector } = opened(...names("a", 12));
    broker.onMove = () => broker.tasks.push(`b${broker.calls.length}`, `c${broker.calls.length}`);

    expect(await inspector.run(retry, { batch: 5 })).toEqual({ moved: 12, skipped: 0, scanned: 12, cursor: undefined });
    expect(broker.tasks).toHaveLength(6);
  });

  it("stops between batches when its signal says so, or at its limit, and can be gone on with", async () => {
    const { broker, inspector } = opened(...names("a", 12));
    const stop = new AbortController();

    const stopped = await inspector.archive(retry, { batch: 5, signal: stop.signal, onProgress: () => stop.abort() });
    expect(stopped).toEqual({ moved: 5, skipped: 0, scanned: 5, cursor: "front" });
    expect(await inspector.archive(retry, { batch: 5, limit: 6, cursor: "front" })).toMatchObject({
      moved: 6,
      cursor: "front",
    });
    expect(await inspector.archive(retry)).toMatchObject({ moved: 1, cursor: undefined });
    expect(broker.calls).toEqual(["archived 5", "archived 5", "archived 1", "archived 1"]);
  });

  it("tells what was done when storage fails in the middle, and the plain error when nothing was", async () => {
    const { broker, inspector } = opened(...names("a", 12));
    const outage = new HoldfastError("BROKER_FAILED", { broker: "fake:", problem: "x" });
    broker.onMove = () => {
      if (broker.calls.length === 2) throw outage;
    };

    const error = await inspector.delete(retry, { batch: 5, requestId: "r-1" }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "BULK_INTERRUPTED", cause: outage });
    expect((error as HoldfastError).data).toEqual({
      queue: "q",
      to: "deleted",
      moved: 5,
      skipped: 0,
      scanned: 5,
      total: 12,
      requestId: "r-1",
    });
    broker.calls.length = 1;
    await expect(inspector.delete(retry)).rejects.toBe(outage);
  });

  it("has one request id for all its batches, made for it unless given", async () => {
    const { broker, inspector } = opened(...names("a", 12));

    await inspector.run(retry, { batch: 5, reason: "the bank is open" });
    const [first] = broker.acts;
    expect(first).toMatchObject({ actor: "ann", reason: "the bank is open" });
    expect(first!.requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(new Set(broker.acts.map(({ requestId }) => requestId)).size).toBe(1);
  });

  it("of a queue that there is not is an error", async () => {
    await expect(opened().inspector.run({ ...retry, queue: "x" })).rejects.toMatchObject({ code: "QUEUE_NOT_FOUND" });
  });
});

describe("a selection by type", () => {
  const typed = { queue: "q", state: "pending", type: "a" } as const;
  const mixed = names("a", 450).flatMap((a, n) => [`b${n}`, a]);

  it("moves these alone, wherever in the list, and says what was looked at", async () => {
    const { broker, inspector } = opened(...mixed);

    expect(await inspector.archive(typed)).toEqual({ moved: 450, skipped: 0, scanned: 900, cursor: undefined });
    expect(broker.tasks).toEqual(names("b", 450));
  });

  it("stops at its limit, in the middle of a page too, and goes on from there", async () => {
    const { broker, inspector } = opened(...mixed);

    const some = await inspector.archive(typed, { limit: 130 });
    expect(some.moved).toBe(130);
    expect(await inspector.archive(typed, { cursor: some.cursor })).toMatchObject({ moved: 320, cursor: undefined });
    expect(broker.tasks).toEqual(names("b", 450));
  });

  it("is listed in pages that neither overlap nor leave one out, forwards and backwards", async () => {
    const { inspector } = opened(...mixed);
    const there: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await inspector.list(typed, { limit: 40, cursor });
      there.push(...page.items.map(({ id }) => id));
      expect(page.items.length).toBeLessThanOrEqual(40);
      cursor = page.next;
    } while (cursor !== undefined);
    const back: string[] = [];
    do {
      const page = await inspector.list(typed, { limit: 40, cursor, backwards: true });
      back.unshift(...page.items.map(({ id }) => id));
      cursor = page.previous;
    } while (cursor !== undefined);

    expect(there).toEqual(names("a", 450));
    expect(back).toEqual(there);
  });

  it("is looked for in 5,000 tasks at once, no more", async () => {
    const { inspector } = opened(...names("b", 7_000), "a1");

    const page = await inspector.list(typed);
    expect(page).toMatchObject({ items: [], scanned: 5_000 });
    expect((await inspector.list(typed, { cursor: page.next })).items).toHaveLength(1);
  });

  it("is iterated whole, in both directions", async () => {
    const { inspector } = opened(...mixed);
    async function ids(backwards: boolean) {
      const seen: string[] = [];
      for await (const { id } of inspector.tasks(typed, { backwards })) seen.push(id);
      return seen;
    }

    expect(await ids(false)).toEqual(names("a", 450));
    expect(await ids(true)).toEqual(names("a", 450).toReversed());
  });
});

describe("a selection by ids", () => {
  it("has a receipt for each, in order, also over several batches", async () => {
    const { broker, inspector } = opened("a1", "a2", "a3");
    const ids = ["a3", "gone", "a1"];

    expect(await inspector.run({ queue: "q", ids }, { batch: 2 })).toEqual({
      receipts: ["moved", "notFound", "moved"].map((status, n) => ({ id: ids[n], status })),
    });
    expect(broker.calls).toEqual(["pending 2 +1", "pending 1 +1"]);
  });
});

describe("single acts", () => {
  it("drop a queue in as many calls as it takes, or say what is in the way", async () => {
    const { broker, inspector } = opened();
    const ends: [(typeof broker.drops)[number], unknown][] = [
      ["dropped", { dropped: true }],
      ["notEmpty", "QUEUE_NOT_EMPTY"],
      ["active", "TASK_ACTIVE"],
    ];
    for (const [receipt, end] of ends) {
      broker.drops = ["more", "more", receipt];
      expect(await inspector.drop("q", { force: true }).catch((error: HoldfastError) => error.code)).toEqual(end);
    }
    await expect(inspector.drop("x")).rejects.toMatchObject({ code: "QUEUE_NOT_FOUND" });
    // No tasks are left, but their storage has much to look through.
    broker.drops = [...Array.from({ length: 300 }, () => "more" as const), "dropped"];
    expect(await inspector.drop("q", { force: true })).toEqual({ dropped: true });
    // Tasks come as fast as they go.
    broker.tasks = ["a1"];
    await expect(inspector.drop("q", { force: true })).rejects.toMatchObject({ code: "QUEUE_NOT_EMPTY" });
    expect(await inspector.drop("q", { signal: AbortSignal.abort() })).toEqual({ dropped: false });
  });

  it("pause what there is", async () => {
    const { inspector } = opened();

    expect(await inspector.pause("q", { reason: "the bank is closed" })).toEqual({ changed: true });
    await expect(inspector.resume("x")).rejects.toMatchObject({ code: "QUEUE_NOT_FOUND" });
  });

  it("write payloads as JSON, bytes as they are, and none that is too large", async () => {
    const { broker, inspector } = opened("a1");

    expect(await inspector.updatePayload("q", "a1", { n: 1 })).toEqual({ status: "updated" });
    await inspector.updatePayload("q", "a1", new Uint8Array([0x41]));
    expect(broker.calls).toEqual(['{"n":1}', "A"]);
    expect(await inspector.updatePayload("q", "a2", 1)).toEqual({ status: "notFound" });
    await expect(inspector.updatePayload("q", "a1", 10n)).rejects.toMatchObject({ code: "PAYLOAD_INVALID" });
    await expect(inspector.updatePayload("q", "a1", "x".repeat(1_048_575))).rejects.toMatchObject({
      code: "PAYLOAD_TOO_LARGE",
      data: { type: "a", bytes: 1_048_577 },
    });
    await expect(inspector.require("q", "a2")).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
  });
});

describe("what is not allowed", () => {
  const { inspector } = opened("a1");
  const loose = inspector as unknown as Record<string, (...args: unknown[]) => unknown>;
  const retry = { queue: "q", state: "retry" };
  const refusals: [verb: string, args: unknown[], option: string][] = [
    ["list", [undefined], "list.selection"],
    ["list", [{ state: "retry" }], "list.selection.queue"],
    ["list", [{ queue: "q" }], "list.selection.state"],
    ["list", [{ queue: "q", state: "waiting" }], "list.selection.state"],
    ["list", [{ ...retry, group: "g" }], "list.selection.group"],
    ["list", [{ ...retry, typ: "a" }], "list.selection.typ"],
    ["list", [retry, { limit: 0 }], "list.limit"],
    ["list", [retry, { limit: 501 }], "list.limit"],
    ["list", [retry, { cursor: 7 }], "list.cursor"],
    ["run", [{ queue: "q", ids: ["a", ""] }], "run.selection.ids[1]"],
    ["run", [{ queue: "q", ids: "a" }], "run.selection.ids"],
    ["run", [{ queue: "q", ids: names("a", 10_001) }], "run.selection.ids"],
    ["run", [{ queue: "q", ids: [], state: "retry" }], "run.selection.state"],
    ["run", [{ queue: "q", ids: ["a1"] }, { limit: 1 }], "run.limit"],
    ["run", [{ queue: "q", state: "active" }], "run.selection.state"],
    ["run", [{ queue: "q", state: "pending" }], "run.selection.state"],
    ["archive", [{ queue: "q", state: "archived" }], "archive.selection.state"],
    ["run", [retry, { attempts: 0 }], "run.attempts"],
    ["run", [retry, { attempts: 1_001 }], "run.attempts"],
    ["archive", [retry, { attempts: 2 }], "archive.attempts"],
    ["run", [retry, { batch: 501 }], "run.batch"],
    ["delete", [retry, { reason: "x".repeat(501) }], "delete.reason"],
    ["delete", [retry, { reason: "a\nb" }], "delete.reason"],
    ["delete", [retry, { actor: "\u001b[2J" }], "delete.actor"],
    ["delete", [retry, { signal: {} }], "delete.signal"],
    ["delete", [retry, { onProgress: 1 }], "delete.onProgress"],
    ["memory", ["q"], "memory.queues"],
    ["history", ["q", 91], "history.days"],
    ["find", ["q", 7], "find.id"],
    ["cancel", [retry], "cancel.selection.ids"],
    ["cancel", [{ queue: "q", ids: ["a"] }, { retry: "no" }], "cancel.retry"],
    ["drop", ["q", { forced: true }], "drop.forced"],
  ];

  it.each(refusals.map(([verb, args, option]) => ({ verb, args, option })))(
    "$option: %#",
    async ({ verb, args, option }) => {
      const error = await Promise.resolve(loose[verb]!.apply(inspector, args)).catch((thrown: unknown) => thrown);

      expect(error).toMatchObject({ code: "OPTION_INVALID", data: { option } });
    },
  );

  it("is a broker that cannot do it", () => {
    expect(() => new Inspector({} as InspectorBroker)).toThrow(/^Inspector: takes what connect\(\) answers/);
  });

  it("but an actor is made of user, host and process unless given", async () => {
    const broker = new FakeBroker();
    broker.tasks = ["a1"];
    await new Inspector(broker as unknown as InspectorBroker).run({ queue: "q", ids: ["a1"] });

    expect(broker.acts[0]!.actor).toMatch(/^.+@.+ \(\d+\)$/);
  });
});
