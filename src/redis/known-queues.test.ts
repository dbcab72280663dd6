import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { HoldfastError } from "../core/errors.js";
import { queuesKey } from "./keys.js";
import { KnownQueues } from "./known-queues.js";
import type { Caller, Command } from "./link.js";

/** The node that has all queues' names, which may be away. */
const node = { away: true, sent: [] as (readonly unknown[])[] };
const link: Caller = {
  label: "redis-cluster://test",
  run: async (calls) => {
    if (node.away) {
      const data = { broker: link.label, problem: "it is away", outcome: "notSent", taskIds: [] } as const;
      throw new HoldfastError("BROKER_UNAVAILABLE", data);
    }
    node.sent.push(...(calls as Command[]).map(({ args }) => args));
    return calls.map(() => 1);
  },
};

beforeEach(() => {
  Object.assign(node, { away: true, sent: [] });
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

it("enters what it could not when the node is back, and asks for nothing when there is nothing to enter", async () => {
  const known = new KnownQueues();
  known.enterLater(link, []);
  await known.enter(link, ["a", "b"], 1_000);
  known.forget("a");
  node.away = false;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(node.sent).toEqual([[queuesKey, "b"]]);

  node.sent = [];
  known.enterLater(link, ["c"]);
  known.forget("c");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(node.sent).toEqual([]);
});

it("tries once more when it is closed, and is closed while the node is away", async () => {
  const known = new KnownQueues();
  await known.enter(link, ["a"], 1_000);
  node.away = false;
  await known.close(link);
  expect(node.sent).toEqual([[queuesKey, "a"]]);

  const other = new KnownQueues();
  node.away = true;
  await other.enter(link, ["b"], 1_000);
  await other.close(link);
  Object.assign(node, { away: false, sent: [] });
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(node.sent).toEqual([]);
});
