import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SpoolOutcome, SpoolStore } from "../../src/broker/spool.js";
import type { NewTask } from "../../src/core/message.js";
import { FileSpoolStore } from "../../src/embedded/spool/file-spool-store.js";
import { newTask } from "../support/builders.js";
import { silent } from "../support/silent.js";

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
      undefined,
      { status: "duplicate", id: "other" },
    ]);
    expect(await store.stats()).toMatchObject({ tasks: 1, parked: 0, oldestAtMs: t0 });
  });
});
