import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Act, Signal } from "../broker/roles.js";
import { encodeMessage } from "../core/codec.js";
import { message } from "../../test/support/builders.js";
import { until } from "../../test/support/until.js";
import { loadDriver } from "./driver.js";
import { type Call, EmbeddedStore } from "./embedded-store.js";
import { Lookout } from "./lookout.js";
import { pack } from "./packed.js";

const t0 = 1_800_000_000_000;
const by: Act = { actor: "ops", reason: "", requestId: "r" };

let folder: string;
let file: string;
const open: Process[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-lookout-"));
  file = join(folder, "tasks.db");
});
afterEach(() => {
  for (const { store, lookout } of open.splice(0)) {
    lookout.close();
    store.close();
  }
  rmSync(folder, { recursive: true, force: true });
});

/** A store and its lookout, as the thread of one process has them, and what its subscribers are told. */
class Process {
  readonly store: EmbeddedStore;
  readonly lookout: Lookout;
  readonly told: string[] = [];

  private constructor(store: EmbeddedStore, location: string) {
    this.store = store;
    this.lookout = new Lookout(store, location, (_, signal) => this.told.push(word(signal)));
    this.run({ verb: "ping", args: {} });
    open.push(this);
  }

  static async start(): Promise<Process> {
    return new Process(new EmbeddedStore(await loadDriver(), file, "file:tasks.db"), file);
  }

  run(call: Call, quietly = false): void {
    const answers = this.store.run([call]);
    if (!quietly) this.lookout.committed([call], answers);
  }

  enqueue(id: string, queue = "q", quietly = false): void {
    const row = { queue, id, processAtMs: 0, uniqueKey: "", uniqueForMs: 0, atMostOnce: false, repeat: false };
    const messages = pack([encodeMessage(message({ queue, id }))]);
    this.run({ verb: "enqueue", args: { rows: [row], messages, nowMs: t0 } }, quietly);
  }

  lease(): void {
    const lease = { workerId: "w", requestId: "r", queues: ["q"], limit: 9, leaseMs: 5_000, suspects: 0 };
    this.run({ verb: "exchange", args: { rows: [], messages: pack([]), lease, nowMs: t0 } });
  }

  pause(paused: boolean): void {
    this.run({ verb: "setPaused", args: { queues: ["q"], paused, by, nowMs: t0 } });
  }

  cancel(id: string, how: "retry" | "archive"): void {
    this.run({ verb: "cancel", args: { tasks: [{ queue: "q", id }], how, by, nowMs: t0 } });
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // The file that was open while the folder was read.
  }
}

const word = (signal: Signal) => (signal.kind === "wake" ? `wake ${signal.queue}` : `cancel ${signal.id}`);

describe("lookout", () => {
  it("tells of its own process's tasks at once, and in memory, too", async () => {
    file = ":memory:";
    const one = await Process.start();
    one.lookout.subscribe(1, ["q"]);

    one.enqueue("1");

    expect(one.told).toEqual(["wake q"]);
  });

  it("hears the bell that another process rings", async () => {
    const [one, other] = [await Process.start(), await Process.start()];
    one.lookout.subscribe(1, ["q", "r"]);

    const delaysMs: number[] = [];
    for (let n = 0; n < 20; n += 1) {
      const startMs = performance.now();
      other.enqueue(`${n}`);
      await until("it is told", () => one.told.length > n);
      delaysMs.push(performance.now() - startMs);
      one.lease();
      one.lookout.watch(1, true);
    }

    expect(one.told).toEqual(Array.from({ length: 20 }, () => "wake q"));
    // The net would be twice a second.
    expect(delaysMs.toSorted((a, b) => a - b)[10]).toBeLessThan(100);
  });

  it("sees what was written without the bell, a little later", async () => {
    const [one, other] = [await Process.start(), await Process.start()];
    one.lookout.subscribe(1, ["q"]);

    other.enqueue("1", "q", true);

    await until("it is told", () => one.told.length > 0);
    expect(one.told).toEqual(["wake q"]);
  });

  it("hears the bell again after somebody has deleted it", async () => {
    const [one, other] = [await Process.start(), await Process.start()];
    one.lookout.subscribe(1, ["q"]);
    rmSync(`${file}-bell`);
    await until("there is another one", () => readdirSync(folder).includes("tasks.db-bell"));

    const startMs = performance.now();
    other.enqueue("1");
    await until("it is told", () => one.told.length > 0);

    expect(performance.now() - startMs).toBeLessThan(400);
  });

  it("leaves no bell where nobody listens", async () => {
    const one = await Process.start();

    one.enqueue("1");

    expect(readdirSync(folder).filter((name) => name.endsWith("bell"))).toEqual([]);
  });

  it("wakes once until it is told that one has looked, and then for what came in the meantime", async () => {
    const one = await Process.start();
    one.lookout.subscribe(1, ["q"]);

    one.enqueue("1");
    one.enqueue("2");
    expect(one.told).toEqual(["wake q"]);
    one.lookout.watch(1, true);
    await until("the second is told", () => one.told.length === 2);
    one.lookout.watch(1, false);
    one.enqueue("3");
    one.lookout.watch(1, true);
    await until("the third is told", () => one.told.length === 3);
    // What waits, and is not taken, wakes nobody again.
    one.lookout.watch(1, true);
    const startMs = performance.now();
    await until("there was time for a look", () => performance.now() - startMs > 100);
    expect(one.told).toHaveLength(3);
  });

  it("is silent about paused queues, until they are resumed", async () => {
    const one = await Process.start();
    one.enqueue("1");
    one.pause(true);
    one.lookout.subscribe(1, ["q"]);

    one.enqueue("2");
    expect(one.told).toEqual([]);
    one.pause(false);

    await until("it is told", () => one.told.length > 0);
  });

  it("tells of each wish to abort once, also to the busy, and of none from before", async () => {
    const [one, other] = [await Process.start(), await Process.start()];
    for (const id of ["old", "1", "2"]) other.enqueue(id);
    other.lease();
    other.cancel("old", "retry");
    one.lookout.subscribe(1, ["q"]);
    one.lookout.subscribe(2, ["another"]);
    one.lookout.watch(1, false);

    other.cancel("1", "retry");
    await until("the first is told", () => one.told.length === 1);
    other.cancel("2", "retry");
    other.cancel("1", "archive");
    await until("the others are told", () => one.told.length === 3);

    expect(one.told).toEqual(["cancel 1", "cancel 1", "cancel 2"]);
  });

  it.skipIf(process.platform !== "linux")("lets go of the bell with its last subscriber", async () => {
    const one = await Process.start();
    const watched = () =>
      readdirSync("/proc/self/fdinfo")
        .map((fd) => readIfThere(`/proc/self/fdinfo/${fd}`))
        .filter((info) => info.includes("inotify wd:")).length;
    const comeAndGo = () => {
      one.lookout.subscribe(1, ["q"]);
      one.lookout.subscribe(2, ["q"]);
      one.lookout.unsubscribe(1);
      one.lookout.unsubscribe(2);
    };
    one.lookout.subscribe(3, ["q"]);
    expect(watched()).toBe(1);
    one.lookout.unsubscribe(3);

    for (let n = 0; n < 100; n += 1) comeAndGo();
    one.enqueue("1");

    expect(watched()).toBe(0);
    expect(one.told).toEqual([]);
  });
});
