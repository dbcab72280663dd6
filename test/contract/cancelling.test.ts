import { expect } from "vitest";
import type { Cancellation, LostLease, TaskRef } from "../../src/broker/broker.js";
import type { Act, CancelReceipt, Signal } from "../../src/broker/roles.js";
import { settled } from "../support/builders.js";
import { until } from "../support/until.js";
import { describeBroker, type Trial } from "./describe-broker.js";

const by: Act = { actor: "ana@desk", reason: "wrong customer", requestId: "r-1" };
const cancel = (t: Trial, tasks: readonly (TaskRef | string)[], how: Cancellation): Promise<CancelReceipt[]> =>
  t.broker.cancel(
    tasks.map((task) => (typeof task === "string" ? { queue: t.queue, id: task } : task)),
    how,
    by,
    t.at(0),
  );
const wishes = (t: Trial, ...ids: string[]) => t.broker.cancellations(ids.map((id) => ({ queue: t.queue, id })));

describeBroker("cancelling", ({ it }) => {
  it(
    "answers for each task, in order, and keeps the wish with those that run",
    async (t) => {
      await t.enqueue(["1", "2", "3"]);
      await t.lease({ limit: 2 });
      const elsewhere = { queue: t.queueNamed("none"), id: "1" };

      expect(await cancel(t, ["3", elsewhere, "2", "gone"], "archive")).toEqual([
        "notActive",
        "notFound",
        "requested",
        "notFound",
      ]);

      expect(await wishes(t, "1", "2", "3", "gone")).toEqual([undefined, "archive", undefined, undefined]);
      expect(await cancel(t, ["1", "2"], "retry")).toEqual(["requested", "requested"]);
      expect(await wishes(t, "1", "2")).toEqual(["retry", "retry"]);
    },
    { needs: "signals" },
  );

  it(
    "tells those who listen",
    async (t) => {
      const heard: Signal[] = [];
      const listener = t.another();
      const subscription = await listener.subscribe([t.queue], (signal) => heard.push(signal));
      await until("it listens", () => subscription.listening);
      await t.enqueue(["1"]);
      await t.leaseOne();

      await cancel(t, ["1"], "retry");

      await until("it is told", () => heard.some(({ kind }) => kind === "cancel"));
      expect(heard.find(({ kind }) => kind === "cancel")).toEqual({ kind: "cancel", id: "1" });
    },
    { needs: "signals" },
  );

  it(
    "is told with the renewal of the lease, when nobody listens",
    async (t) => {
      const told: (LostLease & { how: Cancellation })[] = [];
      await t.enqueue(["1", "2", "3"]);
      const nowMs = t.broker.clock.nowMs();
      const request = t.request({ leaseMs: 5_000 });
      const { leased } = await t.broker.exchange({ settle: [], lease: request }, nowMs);
      const keeper = t.broker.keeper({
        leaseMs: 5_000,
        onLost: () => expect.unreachable(),
        onCancelled: (leases) => told.push(...leases),
        onError: (error) => expect.unreachable(String(error)),
      });

      await cancel(t, ["1"], "retry");
      await cancel(t, ["3"], "archive");
      keeper.hold(leased.map(({ lease }) => ({ lease, renewUntilMs: nowMs + 60_000 })));

      await until("it is told", () => told.length > 1);
      const token = request.requestId;
      expect(told.slice(0, 2)).toEqual([
        { queue: t.queue, id: "1", token, how: "retry" },
        { queue: t.queue, id: "3", token, how: "archive" },
      ]);
      await keeper.close();
    },
    { needs: "signals", timeoutMs: 15_000 },
  );

  it(
    "ends with the attempt: the next one is not cancelled",
    async (t) => {
      await t.enqueue(["retried", "archived", t.task("completed", { retentionMs: 60_000 })]);
      const [retried, archived, completed] = await t.lease();
      await cancel(t, ["retried", "archived", "completed"], "retry");

      await t.settle([
        settled.retry(retried!, t.at(1_000)),
        settled.archived(archived!),
        settled.completed(completed!),
      ]);

      expect(await wishes(t, "retried", "archived", "completed")).toEqual([undefined, undefined, undefined]);
    },
    { needs: "signals" },
  );
});
