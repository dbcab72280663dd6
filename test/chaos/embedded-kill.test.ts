import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Driver, loadDriver } from "../../src/embedded/driver.js";
import { embeddedBroker } from "../../src/embedded/index.js";
import { seed } from "../support/seed.js";
import { seeded } from "../support/seeded.js";

const kills = 220;
/** So many files at a time, each with a process that is killed and started anew. */
const lanes = 2;

/** What the killed processes were promised, all of one file. */
interface Ledger {
  readonly taken: Set<string>;
  readonly settling: Set<string>;
  readonly settled: Set<string>;
}

describe(`an embedded file whose process is killed (seed ${seed})`, () => {
  let folder: string;
  let sqlite: Driver;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-kill-"));
    sqlite = await loadDriver();
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it(`opens and has all it promised, at ${kills} moments`, async () => {
    const totals = await Promise.all(Array.from({ length: lanes }, (_, lane) => killAgainAndAgain(lane)));

    const taken = totals.reduce((sum, ledger) => sum + ledger.taken.size, 0);
    const settled = totals.reduce((sum, ledger) => sum + ledger.settled.size, 0);
    // Many kills that hit nothing would prove nothing.
    expect(taken).toBeGreaterThan(kills * 5);
    expect(settled).toBeGreaterThan(kills * 2);
  }, 300_000);

  async function killAgainAndAgain(lane: number): Promise<Ledger> {
    const file = join(folder, `${lane}.db`);
    const random = seeded(seed + lane);
    const ledger: Ledger = { taken: new Set(), settling: new Set(), settled: new Set() };
    for (let number = 0; number < kills / lanes; number += 1) {
      await killOne(file, `${lane}.${number}`, random, ledger);
      if (existsSync(file)) compare(file, ledger, `lane ${lane}, kill ${number}`);
    }
    await drain(file, ledger);
    return ledger;
  }

  /** Most are killed at work, every fourth while it opens the file and recovers what the last one left. */
  async function killOne(file: string, name: string, random: () => number, ledger: Ledger): Promise<void> {
    const child = spawn(process.execPath, [join(import.meta.dirname, "embedded-kill-child.mjs"), file, name], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const exited = once(child, "close");
    let output = "";
    let errors = "";
    const working = new Promise<void>((resolve) => {
      child.stdout.on("data", (chunk) => {
        output += String(chunk);
        if (output.includes("+")) resolve();
      });
    });
    child.stderr.on("data", (chunk) => (errors += String(chunk)));
    const atOnce = random() < 0.25;
    if (!atOnce) await Promise.race([working, exited]);
    await sleep(random() * (atOnce ? 250 : 60));
    child.kill("SIGKILL");
    const [code, signal] = (await exited) as [number | null, string | null];
    expect({ code, signal, errors }).toEqual({ code: null, signal: "SIGKILL", errors: "" });
    read(output, ledger);
  }

  function compare(file: string, ledger: Ledger, when: string): void {
    const database = sqlite(file);
    try {
      const check = database.prepare("PRAGMA integrity_check").get() as object;
      expect(Object.values(check), when).toEqual(["ok"]);
      if (database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'task'").get() === undefined) return;
      const tasks = database.prepare("SELECT id, state FROM task").all() as { id: string; state: string }[];
      const open = new Set(tasks.filter(({ state }) => state !== "completed").map(({ id }) => id));
      const lost = [...ledger.taken].filter((id) => !open.has(id) && !ledger.settling.has(id));
      const back = [...ledger.settled].filter((id) => open.has(id));
      expect({ when, lost, back }).toEqual({ when, lost: [], back: [] });
      const counted = database
        .prepare("SELECT queue, state, count(*) AS n FROM task GROUP BY queue, state")
        .all() as Counted[];
      const kept = database.prepare("SELECT * FROM queue").all() as Record<string, number>[];
      for (const { queue, state, n } of counted)
        expect(kept.find(({ name }) => String(name) === queue)?.[state], when).toBe(n);
    } finally {
      database.close();
    }
  }
});

interface Counted {
  readonly queue: string;
  readonly state: string;
  readonly n: number;
}

/** A line that was cut off by the kill promised nothing: its last id may be half an id. */
function read(output: string, ledger: Ledger): void {
  for (const line of output.split("\n").slice(0, -1)) {
    const [sign, ...ids] = line.split(" ");
    const set = { "+": ledger.taken, "~": ledger.settling, "-": ledger.settled }[sign!];
    for (const id of ids) set?.add(id);
  }
}

/** Whoever comes next gets every task that is left, once its lease has run out. */
async function drain(file: string, ledger: Ledger): Promise<void> {
  await using broker = embeddedBroker({ file });
  const queues = ["a", "b"];
  const nowMs = broker.clock.nowMs() + 3_600_000;
  const found = new Set<string>();
  while ((await broker.reclaim(queues, 500, nowMs)).length > 0);
  for (let number = 0; ; number += 1) {
    const lease = { workerId: "last", requestId: `last-${number}`, queues, limit: 500, leaseMs: 5_000, suspects: 500 };
    const { leased } = await broker.exchange({ settle: [], lease }, nowMs);
    if (leased.length === 0) break;
    for (const { message } of leased) {
      expect(found.has(message.id), message.id).toBe(false);
      expect(Buffer.from(message.payload).toString().startsWith(message.id)).toBe(true);
      found.add(message.id);
    }
  }
  const archived = await Promise.all(
    queues.map((queue) => broker.list({ queue, state: "archived" }, { limit: 10_000 })),
  );
  for (const { id } of archived.flatMap(({ items }) => items)) found.add(id);
  expect([...ledger.taken].filter((id) => !found.has(id) && !ledger.settling.has(id))).toEqual([]);
}
