import { once as happens } from "node:events";
import { describe, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { Client, connect, defineTask, type Handler, HoldfastError, type OnceOptions, Worker } from "../../src/index.js";
import { testBroker } from "../../src/testing/index.js";
import { FaultProxy } from "../support/fault-proxy.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const pay = defineTask("pay", { retry: () => "1s", maxRetry: 3 });

/** Storage in memory in which time is put forward, and a worker that runs what is there. */
function workshop() {
  const broker = testBroker();
  return {
    broker,
    run: async (handler: Handler<undefined, void>) => {
      await new Worker(broker, { log: silent }).handle(pay, handler).drain();
      broker.clock.advance("2s");
    },
    /** A worker that took the task, began to charge, and died. */
    crash: async () => {
      const lease = { workerId: "w", requestId: "dead", queues: ["default"], limit: 1, leaseMs: 5_000, suspects: 0 };
      const { leased } = await broker.exchange({ settle: [], lease }, broker.clock.nowMs());
      await broker.remember([{ lease: leased[0]!.lease, key: "charge", act: { kind: "begin" } }]);
      broker.clock.advance("60s");
      await broker.reclaim(["default"], 10, broker.clock.nowMs());
    },
    failure: async () => {
      const { items } = await broker.list({ queue: "default", state: "retry" }, { limit: 1 });
      return items[0]?.failure;
    },
  };
}

describe("task.once", () => {
  it("gives a later attempt the result of the first, as JSON tells it", async () => {
    const { broker, run } = workshop();
    await using _ = broker;
    await new Client(broker).enqueue(pay());
    let charges = 0;
    const seen: unknown[] = [];

    for (let attempt = 1; attempt <= 2; attempt++)
      await run(async (_payload, task) => {
        const at = new Date(0);
        seen.push(await task.once("charge", () => ({ charge: (charges += 1), at })));
        seen.push(await task.once("nothing", () => undefined));
        if (task.attempt === 1) throw new Error("the mailer is away");
      });

    expect(charges).toBe(1);
    const result = { charge: 1, at: "1970-01-01T00:00:00.000Z" };
    expect(seen).toEqual([result, undefined, result, undefined]);
  });

  it("tries an effect again that threw", async () => {
    const { broker, run } = workshop();
    await using _ = broker;
    await new Client(broker).enqueue(pay());
    const charges: string[] = [];

    for (let attempt = 1; attempt <= 2; attempt++)
      await run(async (_payload, task) => {
        await task.once("charge", () => {
          charges.push(`attempt ${task.attempt}`);
          if (task.attempt === 1) throw new Error("card declined");
        });
      });

    expect(charges).toEqual(["attempt 1", "attempt 2"]);
  });

  it("neither repeats nor passes over an effect whose worker died: it says so, until told how to find out", async () => {
    const { broker, run, crash, failure } = workshop();
    await using _ = broker;
    const { id } = await new Client(broker).enqueue(pay());
    await crash();
    let charges = 0;
    const results: unknown[] = [];
    const charging = (options?: OnceOptions<string>) => async (_payload: undefined, task: Parameters<typeof once>[1]) =>
      once(options, task);
    const once = async (options: OnceOptions<string> | undefined, task: Parameters<Handler<undefined, void>>[1]) => {
      results.push(await task.once("charge", () => `charge ${(charges += 1)}`, options));
      throw new Error("and then something else fails");
    };

    await run(charging());
    expect(await failure()).toMatchObject({
      class: "HoldfastError",
      message: `"charge" of task ${id} was begun before, and nothing tells whether it was carried out`,
    });
    await run(charging({ ifInterrupted: () => Promise.reject(new Error("the bank is away")) }));
    expect((await failure())?.message).toBe("the bank is away");
    await run(charging({ ifInterrupted: () => "found at the bank" }));
    await run(charging());

    expect({ charges, results }).toEqual({ charges: 0, results: ["found at the bank", "found at the bank"] });
  });

  it("is one effect for those who ask together, and another for another key or task", async () => {
    const { broker, run } = workshop();
    await using _ = broker;
    await new Client(broker).enqueueAll([pay(), pay()]);
    const ran: string[] = [];

    await run(async (_payload, task) => {
      const effect = (key: string) => task.once(key, () => ran.push(key));
      expect(await Promise.all([effect("a"), effect("a"), effect("b")])).toHaveLength(3);
    });

    expect(ran.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(["a", "a", "b", "b"]);
  });

  it("refuses a result that cannot be kept, and has the effect in doubt", async () => {
    const { broker, run, failure } = workshop();
    await using _ = broker;
    await new Client(broker).enqueue(pay());

    await run((_payload, task) => task.once("charge", () => "x".repeat(70_000)).then(() => undefined));
    expect((await failure())?.message).toContain('once("charge"): 70002 characters, at most 65536 are allowed');
    await run((_payload, task) => task.once("charge", () => 1n).then(() => undefined));
    expect((await failure())?.message).toContain("was begun before");
  });

  it("does not repeat within an attempt what could not be noted, not even after asking failed", async () => {
    const { broker, run } = workshop();
    await using _ = broker;
    await new Client(broker).enqueue(pay());
    let charges = 0;
    const seen: unknown[] = [];

    await run(async (_payload, task) => {
      const charge = (options?: OnceOptions<string>) =>
        task
          .once("charge", () => `${(charges += 1)}`.repeat(70_000), options)
          .then(
            (result) => seen.push(result),
            (error) => seen.push(error.code ?? error.message),
          );
      await charge();
      await charge();
      await charge({ ifInterrupted: () => Promise.reject(new Error("the bank is away")) });
      await charge();
      await charge({ ifInterrupted: () => "found at the bank" });
      await charge();
    });

    expect({ charges, seen }).toEqual({
      charges: 1,
      seen: [
        "RESULT_INVALID",
        "EFFECT_INTERRUPTED",
        "the bank is away",
        "EFFECT_INTERRUPTED",
        "found at the bank",
        "found at the bank",
      ],
    });
  });

  it("has in doubt what the attempt's own abort made throw", async () => {
    const { broker, run, failure } = workshop();
    await using _ = broker;
    await new Client(broker).enqueue(pay(undefined, { timeout: "1s" }));
    let charges = 0;
    const charging: Handler<undefined, void> = (_payload, task) =>
      task.once("charge", async () => {
        charges += 1;
        await happens(task.signal, "abort");
        throw task.signal.reason;
      });

    await run(charging);
    expect((await failure())?.reason).toBe("timeout");
    await run(charging);

    expect((await failure())?.message).toContain("was begun before");
    expect(charges).toBe(1);
  });

  it.each<[string, (task: Parameters<Handler<undefined, void>>[1]) => unknown]>([
    ["once", (task) => task.once("", () => 1)],
    ["once.effect", (task) => task.once("a", "b" as never)],
    ["once.ifInterrupted", (task) => task.once("a", () => 1, { ifInterrupted: true as never })],
  ])("names %s when that is wrong", async (option, call) => {
    const { broker, run } = workshop();
    await using _ = broker;
    await new Client(broker).enqueue(pay());
    let thrown: unknown;

    await run(async (_payload, task) => {
      try {
        await call(task);
      } catch (error) {
        thrown = error;
      }
    });

    expect(HoldfastError.is(thrown, "OPTION_INVALID") && thrown.data.option).toBe(option);
  });
});

describeRedis("task.once and a Redis that goes away", () => {
  it.each(["blackHole", "dropReplies"] as const)("notes what has happened when it is back (%s)", async (kind) => {
    await using server = await RedisServer.start();
    await using proxy = await FaultProxy.to(server.port);
    await using broker = connect(proxy.url, { timeout: "300ms" });
    let effects = 0;
    let begun = () => {};
    const under = new Promise<void>((resolve) => (begun = resolve));
    const worker = new Worker(broker, { log: silent }).handle(pay, async (_payload, task) => {
      await task.once("charge", () => {
        proxy.set({ kind });
        begun();
        return (effects += 1);
      });
      if (task.attempt === 1) throw new Error("again");
    });
    await new Client(broker).enqueue(pay());
    await worker.start();
    await under;
    await expect(broker.ping()).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });
    proxy.set({ kind: "pass" });

    await until("both attempts are over", () => worker.counters().completed === 1, 20_000);

    expect({ effects, retried: worker.counters().retried }).toEqual({ effects: 1, retried: 1 });
    await worker.stop();
  });
});
