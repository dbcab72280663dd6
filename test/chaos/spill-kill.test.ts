import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Broker, connect } from "../../src/index.js";
import { DeadLetters } from "../../src/deadletter/index.js";
import { parseRecord } from "../../src/deadletter/record.js";
import { linesOf } from "../../src/deadletter/spill-reader.js";
import { newTask } from "../support/builders.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { seed } from "../support/seed.js";
import { seeded } from "../support/seeded.js";
import { until } from "../support/until.js";

const kills = { file: 8, redis: 5 };
const letters = 400;
const key = Buffer.alloc(32, 7);
const by = { actor: "test", reason: "test", requestId: "test" };

describe(`dead letters whose spilling is killed (seed ${seed})`, () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-spill-kill-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it(`on a file are in storage or in a spill file, after ${kills.file} kills`, async () => {
    expect(await killed(`file:${join(folder, "tasks.db")}`, "clear", kills.file)).toEqual([]);
  }, 120_000);

  describeRedis("with Redis", () => {
    it(`are in storage or in a sealed spill file, after ${kills.redis} kills`, async () => {
      const server = await RedisServer.start();
      try {
        expect(await killed(server.url, "sealed", kills.redis)).toEqual([]);
      } finally {
        await server.stop();
      }
    }, 120_000);
  });

  /** Answers what is nowhere any more. */
  async function killed(url: string, how: "clear" | "sealed", times: number): Promise<string[]> {
    const directory = join(folder, "spilled");
    mkdirSync(directory, { mode: 0o700 });
    const random = seeded(seed);
    await using broker = connect(url);
    const ids = Array.from({ length: letters }, (_, n) => `t${n}`);
    await broker.enqueue(
      ids.map((id) => newTask({ id, queue: "q", payload: Buffer.alloc(2_000, id) })),
      broker.clock.nowMs(),
    );
    await broker.move({ queue: "q", ids }, "archived", by, { limit: 500 }, broker.clock.nowMs());
    await new DeadLetters(broker).setPolicy({ queue: "q", keepMost: letters / 4, overflow: "spill" });

    const missing: string[] = [];
    let worked = 0;
    for (let kill = 0; kill < times; kill += 1) {
      const child = spawn(process.execPath, [join(import.meta.dirname, "spill-kill-child.mjs"), url, directory, how], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      let [said, errors] = ["", ""];
      child.stdout.on("data", (chunk) => (said += String(chunk)));
      child.stderr.on("data", (chunk) => (errors += String(chunk)));
      const sign = random() < 0.2 ? "ready" : "+";
      await until("it works", () => said.includes(sign) || errors !== "", 30_000);
      await sleep(random() * 60);
      const exited = once(child, "close");
      child.kill("SIGKILL");
      await exited;
      expect(errors).toBe("");
      worked += said.split("+").length - 1;
      missing.push(...(await lost(broker, ids, directory)));
    }
    // Many kills that hit nothing would prove nothing.
    expect(worked).toBeGreaterThan(times / 2);
    expect(readdirSync(directory).length).toBeGreaterThan(times / 2);
    return missing;
  }

  async function lost(broker: Broker, ids: readonly string[], directory: string): Promise<string[]> {
    const spilled = new Set<string>();
    for (const name of readdirSync(directory)) {
      for await (const line of linesOf(join(directory, name), { keys: [key] })) {
        const letter = parseRecord(line);
        if ("id" in letter) spilled.add(letter.id);
      }
    }
    const found = await broker.find(ids.map((id) => ({ queue: "q", id })));
    return ids.filter((id, n) => found[n]?.state !== "archived" && !spilled.has(id));
  }
});
