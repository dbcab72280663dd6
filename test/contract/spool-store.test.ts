import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Adopted, SpoolOutcome, SpoolStore } from "../../src/broker/spool.js";
import { silent } from "../../src/core/log.js";
import type { NewTask } from "../../src/core/message.js";
import { FileSpoolStore } from "../../src/embedded/spool/file-spool-store.js";
import { newTask } from "../support/builders.js";

const t0 = 1_800_000_000_000;
const tasks = (...ids: string[]): NewTask[] =>
  ids.map((id) => newTask({ id, payload: Buffer.from(`payload of ${id}`) }));
const enqueued = (id: string): SpoolOutcome => ({ status: "enqueued", id, state: "pending" });

describe("a spool's store in a directory", () => {
  let folder: string;
  let store: SpoolStore;

  const open = (bounds: { maxTasks?: number; maxBytes?: number } = {}): SpoolStore =>
    new FileSpoolStore({ directory: join(folder, "spool"), ...bounds }, silent);

  /** The ids of all that it holds, in order. */
  const held = async (from: SpoolStore = store) => (await from.read(0, 10_000)).map(({ task }) => task.message.id);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-spool-store-"));
    store = open();
  });
  afterEach(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("gives back what it accepted, as it was, in order, and marked as a repeat", async () => {
    const given = [
      newTask({ id: "a", queue: "x", payload: Buffer.from([0, 255, 1]), headers: { trace: "né" }, uniqueKey: "u" }),
      newTask({ id: "b", deadlineMs: 5_000 }, { processAtMs: t0 + 60_000, uniqueForMs: 1_500, atMostOnce: true }),
    ];

    const last = await store.append(given, t0);
    const read = await store.read(0, 10);

    expect(read.map(({ task }) => task)).toEqual([
      { ...given[0], repeat: true, message: { ...given[0]!.message, payload: Buffer.from([0, 255, 1]) } },
      { ...given[1], repeat: true, message: { ...given[1]!.message, payload: expect.anything() } },
    ]);
    expect(read.map(({ acceptedAtMs }) => acceptedAtMs)).toEqual([t0, t0]);
    expect(read[0]!.sequence).toBeGreaterThan(0);
    expect(read[1]!.sequence).toBe(last);
  });

  it("keeps the order of calls, however many wait at a time", async () => {
    const ids = Array.from({ length: 300 }, (_, n) => `t${n}`);

    const sequences = await Promise.all(ids.map((id) => store.append(tasks(id), t0)));

    expect(await held()).toEqual(ids);
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
    expect(new Set(sequences).size).toBe(300);
  });

  it("reads on from where one is", async () => {
    await store.append(tasks("a", "b", "c", "d"), t0);

    const [, second] = await store.read(0, 2);

    expect((await store.read(second!.sequence, 1)).map(({ task }) => task.message.id)).toEqual(["c"]);
    expect(await store.read((await store.read(0, 9)).at(-1)!.sequence, 9)).toEqual([]);
  });

  it("lets go of what is released, and knows how it ended", async () => {
    await store.append(tasks("a", "b", "c"), t0);
    const [a, , c] = await store.read(0, 9);

    await store.release([
      { sequence: a!.sequence, outcome: enqueued("a") },
      { sequence: c!.sequence, outcome: { status: "duplicate", id: "other" } },
    ]);
    await store.release([{ sequence: a!.sequence, outcome: enqueued("a") }]);

    expect(await held()).toEqual(["b"]);
    expect(await store.outcomes(["a", "b", "c"])).toEqual([
      enqueued("a"),
      { status: "spooled", id: "b" },
      { status: "duplicate", id: "other" },
    ]);
    expect(await store.stats()).toMatchObject({ tasks: 1, parked: 0, oldestAtMs: t0 });
  });

  it("keeps what is parked out of the others' way", async () => {
    await store.append(tasks("a", "b"), t0);
    const [a] = await store.read(0, 1);
    const parked: SpoolOutcome = { status: "parked", id: "a", problem: "WRONGTYPE" };

    await store.release([{ sequence: a!.sequence, outcome: parked }]);

    expect(await held()).toEqual(["b"]);
    expect(await store.stats()).toMatchObject({ tasks: 1, parked: 1 });
    expect(await store.outcomes(["a"])).toEqual([parked]);
  });

  it("takes all of a call or nothing when its bounds are met, and goes on when there is room", async () => {
    await store.close();
    store = open({ maxTasks: 4 });
    await store.append(tasks("a", "b", "c"), t0);

    const full = await store.append(tasks("d", "e"), t0).catch((error: unknown) => error);

    expect(full).toMatchObject({ code: "SPOOL_FULL", data: { tasks: 3, maxTasks: 4, diskFull: false } });
    await store.append(tasks("f"), t0);
    await expect(store.append(tasks("g"), t0)).rejects.toMatchObject({ code: "SPOOL_FULL" });
    const [a] = await store.read(0, 1);
    await store.release([{ sequence: a!.sequence, outcome: enqueued("a") }]);
    await store.append(tasks("h"), t0);
    expect(await held()).toEqual(["b", "c", "f", "h"]);
  });

  it("is bounded in bytes, too, and counts them down when tasks leave", async () => {
    await store.close();
    store = open({ maxBytes: 10_000 });
    const big = newTask({ id: "big", payload: new Uint8Array(6_000) });
    await store.append([big], t0);
    const { bytes } = await store.stats();

    await expect(store.append([big], t0)).rejects.toMatchObject({ code: "SPOOL_FULL", data: { bytes } });
    const [first] = await store.read(0, 1);
    await store.release([{ sequence: first!.sequence, outcome: enqueued("big") }]);

    expect(bytes).toBeGreaterThan(6_000);
    expect(await store.stats()).toMatchObject({ tasks: 0, bytes: 0, oldestAtMs: undefined });
    await store.append([big], t0);
  });

  it("has what the one before it left, parked ones included, behind its own", async () => {
    await store.append(tasks("a", "b", "c"), t0);
    const [a, b] = await store.read(0, 2);
    await store.release([
      { sequence: a!.sequence, outcome: { status: "parked", id: "a", problem: "x" } },
      { sequence: b!.sequence, outcome: enqueued("b") },
    ]);
    await store.close();

    store = open();
    const adopted = new Promise((resolve) => store.onAdopted(resolve));
    await store.append(tasks("d"), t0 + 5);

    const { tasks: count, queues, last } = (await adopted) as Adopted;
    expect([count, queues]).toEqual([1, ["default"]]);
    expect(await held()).toEqual(["d", "c"]);
    expect((await store.read(0, 9)).map(({ sequence }) => sequence).at(-1)).toBe(last);
    expect((await store.read(0, 9)).map(({ acceptedAtMs }) => acceptedAtMs)).toEqual([t0 + 5, t0]);
    expect(await store.stats()).toMatchObject({ tasks: 2, parked: 1, oldestAtMs: t0 });
  });

  it("answers nothing any more when it is closed", async () => {
    await store.append(tasks("a"), t0);

    await store.close();

    await expect(store.append(tasks("b"), t0)).rejects.toMatchObject({ code: "CLOSED" });
    await expect(store.read(0, 1)).rejects.toMatchObject({ code: "CLOSED" });
  });
});
