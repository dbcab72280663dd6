import { expect, it, onTestFinished } from "vitest";
import { newTask } from "../../test/support/builders.js";
import { MemorySpoolStore } from "../../test/support/memory-spool-store.js";
import { MoodyStorage } from "../../test/support/moody-storage.js";
import { until } from "../../test/support/until.js";
import { silent } from "../core/log.js";
import { Delivery } from "./delivery.js";
import { Looks } from "./looks.js";
import { ReleaseRule } from "./release.js";
import { LocalSpool } from "./local-spool.js";
import { defaultPace } from "./troubles.js";

it("tells once that it waits because too much is answered and not released, until that is less", async () => {
  const [storage, store, rule] = [new MoodyStorage(), new MemorySpoolStore(), new ReleaseRule()];
  const found = { id: "one", persistence: "aof" } as const;
  const looks = new Looks(storage, rule, () => ({ afterMs: 0, afterSave: false }), {
    onReleased() {},
    onAgain() {},
    onFound() {},
    onUnfit() {},
    onTrouble() {},
  });
  const told: number[] = [];
  let sent = 0;
  const delivery = new Delivery(
    storage,
    store,
    rule,
    looks,
    {
      maxPerSecond: undefined,
      pace: defaultPace,
      heldMs: () => 0,
      waiting: () => [],
      isLeaving: () => false,
      hearing: () => undefined,
    },
    {
      onAnswered: (tasks) => (sent += tasks.length),
      onParked() {},
      onTrouble() {},
      onStoreTrouble() {},
      onMostHeld: (tasks) => told.push(tasks),
    },
  );
  const outcome = { status: "enqueued", id: "x", state: "pending" } as const;
  /** So many answered long ago, and so many just now. */
  const hold = (old: number, fresh: number) => {
    const atMs = (n: number) => (n < old ? 0 : 1_000_000_000);
    const tasks = Array.from({ length: old + fresh }, (_, n) => {
      return { sequence: 1_000_000 * (told.length + 1) + n, id: "x", outcome, atMs: atMs(n), storageMs: 0 };
    });
    expect(rule.answered("held", rule.eraOf("held")!, tasks)).toBe(true);
  };
  const letGo = () => void rule.look("held", found, 1_000_000, { afterMs: 0, afterSave: false });
  letGo();
  hold(150_000, 60_000);
  const over = new AbortController();
  const running = delivery.run(over.signal);
  onTestFinished(async () => {
    over.abort();
    await running;
  });
  const put = async () => {
    const before = sent;
    await store.append([newTask({ id: `${before}` })], 0);
    delivery.goOn();
    return until("it is sent", () => sent > before);
  };

  await until("it is told", () => told.length === 1);
  for (let n = 0; n < 3; n += 1) {
    delivery.goOn();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(told).toEqual([210_000]);
  letGo();
  await put();
  hold(0, 140_000);
  delivery.goOn();

  await until("it is told again", () => told.length === 2);
});

it("reads for few of many queues that are late at a time", async () => {
  const [storage, store] = [new MoodyStorage(), new MemorySpoolStore()];
  storage.trustAfterMs = 60_000;
  const enqueue = storage.enqueue.bind(storage);
  const waiting: (() => void)[] = [];
  storage.enqueue = async (tasks) => {
    if (tasks[0]!.message.queue !== "well") await new Promise<void>((resolve) => waiting.push(resolve));
    return enqueue(tasks);
  };
  const read = store.read.bind(store);
  let [reading, most] = [0, 0];
  store.read = async (...given) => {
    most = Math.max(most, (reading += 1));
    await new Promise((resolve) => setImmediate(resolve));
    reading -= 1;
    return read(...given);
  };
  await using spool = new LocalSpool(storage, { directory: "memory", openStore: async () => store, log: silent });
  const tasks = Array.from({ length: 1_000 }, (_, n) =>
    newTask({ id: `${n}`, queue: n % 10 === 0 ? "well" : `late-${n % 50}` }),
  );
  await spool.accept(tasks, storage.clock.nowMs());
  await until("those that are well are there", () => spool.counters().delivered === 100);
  expect(waiting).toHaveLength(45);

  await until("all are there", () => {
    for (const goOn of waiting.splice(0)) goOn();
    return spool.counters().delivered === 1_000;
  });

  // And one by the steps.
  expect(most).toBeLessThanOrEqual(9);
  expect(store.tasks).toHaveLength(1_000);
});
