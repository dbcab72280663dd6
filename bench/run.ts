/**
 * Holdfast beside its peers: `npm run bench -- [--rounds N] [--only drain-10,drain-100] [--aof]`. One private redis-server on
 * loopback; in each round every contender runs every scenario, in turn, each in a fresh process on an empty server, so
 * that the machine's moods meet all alike. Prints medians and ratios; the ratios are what to compare.
 */
import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { Redis } from "ioredis";
import type { Measured } from "./measure.js";
import { type Scenario, scenarios } from "./scenarios.js";

// Go's asynq where there is Go.
const contenders = ["holdfast", "bullmq", "bee-queue", ...(spawnSync("go", ["version"]).status === 0 ? ["asynq"] : [])];
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    only: { type: "string" },
    contenders: { type: "string", default: contenders.join(",") },
    aof: { type: "boolean", default: false },
  },
});
const run = promisify(execFile);
const chosen = values.contenders.split(",");
const results = new Map<string, Measured[]>();

const folder = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
const port = await freePort();
const persistence = values.aof ? ["--appendonly", "yes", "--appendfsync", "everysec"] : ["--appendonly", "no"];
const server = spawn(
  "redis-server",
  ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, ...persistence],
  {
    stdio: "ignore",
  },
);
try {
  const redis = new Redis(port, "127.0.0.1", { retryStrategy: () => 50 });
  // Until the server listens, the first connections are refused.
  redis.on("error", () => {});
  const version = /redis_version:(\S+)/.exec(await redis.info("server"))![1];
  console.log(
    `Redis ${version}, ${values.aof ? "AOF everysec" : "no persistence"}, Node ${process.version}, ${cpus().length} cores`,
  );
  for (let round = 1; round <= Number(values.rounds); round += 1) {
    for (const scenario of scenarios) {
      if (values.only?.split(",").includes(scenario.name) === false) continue;
      for (const contender of chosen) await measure(contender, scenario, round);
    }
  }
  redis.disconnect();
  report();
} finally {
  server.kill("SIGKILL");
  await once(server, "exit");
  await rm(folder, { recursive: true, force: true });
}

async function measure(contender: string, scenario: Scenario, round: number): Promise<void> {
  const script = new URL("measure.ts", import.meta.url).pathname;
  const { stdout } = await run(
    process.execPath,
    ["--import", "tsx", script, contender, scenario.name, `redis://127.0.0.1:${port}`],
    {
      timeout: 120_000,
    },
  );
  const measured = JSON.parse(stdout.trim().split("\n").at(-1)!) as Measured;
  const key = `${scenario.name} ${contender}`;
  results.set(key, [...(results.get(key) ?? []), measured]);
  console.log(`round ${round}  ${scenario.name.padEnd(12)} ${contender.padEnd(10)} ${shown(scenario, [measured])}`);
}

function report(): void {
  const versions = chosen.map(
    (name) => `${name} ${[...results].find(([key]) => key.endsWith(` ${name}`))?.[1][0]?.version}`,
  );
  const others = chosen.slice(1);
  console.log(`\n${versions.join(", ")}; median of ${values.rounds} rounds; server CPU per task in µs\n`);
  console.log(`| scenario | ${chosen.join(" | ")} | ${others.map((name) => `× ${name}`).join(" | ")} |`);
  console.log(`|---|${"--:|".repeat(chosen.length + others.length)}`);
  for (const scenario of scenarios) {
    const cells = chosen.map((name) => results.get(`${scenario.name} ${name}`));
    if (cells[0] === undefined) continue;
    const [ours, ...theirs] = cells.map((cell) => main(scenario, cell ?? []));
    const ratios = theirs.map((figure) => {
      if (figure === undefined || ours === undefined) return "–";
      return (scenario.better === "higher" ? ours / figure : figure / ours).toFixed(1);
    });
    const texts = cells.map((cell) => shown(scenario, cell ?? []));
    console.log(`| ${scenario.says} | ${texts.join(" | ")} | ${ratios.join(" | ")} |`);
  }
}

/** The figures of a cell, medians of its rounds; "–" where a contender has no such verb. */
function shown({ columns }: Scenario, cell: readonly Measured[]): string {
  const figures = cell.flatMap((one) => one.figures ?? []);
  if (figures.length === 0) return "–";
  return Object.entries(columns)
    .map(([name, show]) => show(median(figures.map((one) => one[name]!))))
    .join(", ");
}

function main({ columns }: Scenario, cell: readonly Measured[]): number | undefined {
  const [name] = Object.keys(columns);
  const figures = cell.flatMap((one) => one.figures?.[name!] ?? []);
  return figures.length === 0 ? undefined : median(figures);
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address() as { port: number };
  probe.close();
  return address.port;
}
