import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { acquireLink } from "../../src/embedded/shared-links.js";
import { type Broker, Client, connect, defineTask, type TaskContext, Worker } from "../../src/index.js";
import { until } from "../support/until.js";

const ping = defineTask<{ atMs: number }>("ping");
const by = { actor: "ana", reason: "a test", requestId: "r" };

describe("a worker on the embedded engine", () => {
  let folder: string;
  let broker: Broker;
  let worker: Worker;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-embedded-signals-"));
  });
  afterEach(async () => {
    await worker.stop({ timeout: "0s" });
    await broker.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** One that does not look by itself while a test lasts. */
  async function start(url: string, handler: (payload: { atMs: number }, task: TaskContext) => Promise<void> | void) {
    broker = connect(url);
    worker = new Worker(broker, { pollInterval: "1h" }).handle(ping, handler);
    await worker.start();
    return new Client(broker);
  }

  it.each(["memory:", "file:"])("has what is enqueued in its own process milliseconds later (%s)", async (scheme) => {
    const delaysMs: number[] = [];
    const client = await start(scheme === "file:" ? `file:${join(folder, "tasks.db")}` : scheme, ({ atMs }) => {
      delaysMs.push(performance.now() - atMs);
    });

    for (let sent = 1; sent <= 40; sent += 1) {
      await client.enqueue(ping({ atMs: performance.now() }));
      await until("it ran", () => delaysMs.length === sent);
    }

    // Nearly all of a delay on a busy machine is waiting for its turn: the quicker ones show what the way itself takes.
    expect(delaysMs.toSorted((a, b) => a - b)[9]).toBeLessThan(30);
  });

  it("aborts a task at once when somebody cancels it", async () => {
    let aborted = 0;
    const client = await start("memory:", async (_, { signal }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      aborted = performance.now();
      throw signal.reason;
    });
    const { id } = await client.enqueue(ping({ atMs: 0 }));
    const counts = async () => (await broker.queues(broker.clock.nowMs()))[0]!.counts;
    await until("it runs", async () => (await counts()).active === 1);

    const askedAtMs = performance.now();
    expect(await broker.cancel([{ queue: "default", id }], "archive", by, broker.clock.nowMs())).toEqual(["requested"]);

    await until("it is archived", async () => (await counts()).archived === 1);
    // The next renewal of its lease would have told it after 10 s.
    expect(aborted - askedAtMs).toBeLessThan(2_000);
  });

  it("hears of tasks again when the store's thread has died and another one has taken its place", async () => {
    const file = join(folder, "tasks.db");
    let ran = 0;
    const client = await start(`file:${file}`, () => void (ran += 1));
    const killer = acquireLink(file, "the killer");
    await killer.link.call("ping", null as never).catch(() => undefined);
    await killer.release();

    await until("it can be enqueued", () => client.enqueue(ping({ atMs: 0 })));
    await until("it ran", () => ran === 1);
    await client.enqueue(ping({ atMs: 0 }));

    await until("the next ran", () => ran === 2);
    expect(worker.counters().leaseLost).toBe(0);
  });
});
