import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { FileSpoolStore } from "../../src/embedded/spool/file-spool-store.js";
import { homesIn } from "../../src/embedded/spool/home.js";
import { seed } from "../support/seed.js";
import { seeded } from "../support/seeded.js";
import { until } from "../support/until.js";

const kills = 64;
/** So many directories at a time, each with a process that is killed and started anew. */
const lanes = 2;
const key = Buffer.alloc(32, 7);

describe(`a spool whose process is killed (seed ${seed})`, () => {
  let folder: string;
  const children: Child[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-spool-kill-"));
  });
  afterEach(async () => {
    await Promise.all(children.splice(0).map((child) => child.kill()));
    rmSync(folder, { recursive: true, force: true });
  });

  it(`has all that was accepted, at ${kills} moments, however often it was taken over`, async () => {
    const totals = await Promise.all(
      Array.from({ length: lanes }, async (_, lane) => {
        const directory = join(folder, `lane-${lane}`);
        const random = seeded(seed + lane);
        const accepted = new Set<string>();
        const leaving = new Set<string>();
        for (let number = 0; number < kills / lanes; number += 1) {
          const child = start(directory, `${lane}.${number}`, "both");
          // Most are killed at work, every fourth while it opens and takes over what the last one left.
          const atOnce = random() < 0.25;
          await until("it works", () => child.output.includes(atOnce ? "ready" : "+"), 30_000);
          await sleep(random() * 100);
          await child.kill();
          for (const id of child.said("+")) accepted.add(id);
          for (const id of child.said("~")) leaving.add(id);
        }

        const { ids: held, payloads } = await takeOver(directory);

        // A kill damages nothing, and is not to be taken for damage.
        expect(readdirSync(directory)).not.toContain("quarantine");
        const lost = [...accepted].filter((id) => !held.has(id) && !leaving.has(id));
        expect(lost, `lane ${lane}`).toEqual([]);
        for (const [id, payload] of payloads) expect(payload.startsWith(id)).toBe(true);
        return { accepted: accepted.size, left: [...held].filter((id) => accepted.has(id)).length };
      }),
    );

    // Many kills that hit nothing would prove nothing.
    expect(totals.reduce((sum, { accepted }) => sum + accepted, 0)).toBeGreaterThan(kills * 5);
    expect(totals.reduce((sum, { left }) => sum + left, 0)).toBeGreaterThan(kills);
  }, 180_000);

  it("is taken over once, by one of several that start together; those that live keep what is theirs", async () => {
    const directory = join(folder, "shared");
    const writers = ["w1", "w2", "w3", "w4"].map((name) => start(directory, name, "accept"));
    await until("all write", () => writers.every((child) => child.said("+").length > 20), 30_000);
    const [first, second, ...living] = writers as [Child, Child, ...Child[]];
    await Promise.all([first.kill(), second.kill()]);
    const promised = [...first.said("+"), ...second.said("+")];

    const adopters = ["n1", "n2"].map((name) => start(directory, name, "watch"));

    const found = () => adopters.flatMap((child) => child.said("<"));
    await until("all is taken over", () => promised.every((id) => found().includes(id)), 30_000);
    const twice = found().filter((id, index, all) => all.indexOf(id) !== index);
    const others = found().filter((id) => living.some(({ name }) => id.startsWith(`${name}-`)));
    expect({ twice, others }).toEqual({ twice: [], others: [] });
    for (const child of living) expect(child.process.exitCode).toBeNull();
    // Two that write, two that took over; the homes of the dead are gone.
    await until("the dead are gone", () => homesIn(directory).length === 4);
  }, 90_000);

  function start(directory: string, name: string, mode: string): Child {
    const child = new Child(directory, name, mode);
    children.push(child);
    return child;
  }

  /** Everything that is there, once every home but our own is empty. */
  async function takeOver(directory: string): Promise<{ ids: Set<string>; payloads: [string, string][] }> {
    await using store = new FileSpoolStore({ directory, key }, silent);
    await store.stats();
    await until("all is taken over", () => homesIn(directory).length === 1, 30_000);
    const read = await store.read(0, 1_000_000);
    const payloads = read.map(({ task: { message } }): [string, string] => [
      message.id,
      Buffer.from(message.payload).toString(),
    ]);
    return { ids: new Set(payloads.map(([id]) => id)), payloads };
  }
});

class Child {
  readonly name: string;
  readonly process: ChildProcess;
  readonly #exited: Promise<unknown>;
  output = "";
  #errors = "";

  constructor(directory: string, name: string, mode: string) {
    const script = join(import.meta.dirname, "spool-kill-child.mjs");
    this.name = name;
    this.process = spawn(process.execPath, [script, directory, name, mode], { stdio: ["ignore", "pipe", "pipe"] });
    this.#exited = once(this.process, "close");
    this.process.stdout!.on("data", (chunk) => (this.output += String(chunk)));
    this.process.stderr!.on("data", (chunk) => (this.#errors += String(chunk)));
  }

  /** A line that was cut off by the kill promised nothing. */
  said(sign: string): string[] {
    const lines = this.output.split("\n").slice(0, -1);
    return lines.filter((line) => line.startsWith(`${sign} `)).flatMap((line) => line.slice(2).split(" "));
  }

  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.#exited;
    if (this.#errors !== "") throw new Error(`${this.name}: ${this.#errors}`);
  }
}
