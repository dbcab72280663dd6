/**
 * What becomes of tasks, calls and workers when Redis goes away, in Holdfast and its peers:
 * `npm run outages -- [--only load,idle-20] [--contenders holdfast:spool,bullmq] [--out folder]`. Each contender has a
 * redis-server of its own, that is killed with -9 and started again. What is compared is waiting, so all contenders
 * wait side by side; only memory is measured one after the other. Ends with 1 when Holdfast misses a target.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Experiment } from "./experiment.js";
import { producers } from "./experiments/producers.js";
import { state } from "./experiments/state.js";
import { workers } from "./experiments/workers.js";
import { prepare } from "./host.js";
import { Gate, Scene } from "./scene.js";
import { type Outcome, table } from "./table.js";

const experiments = [...producers, ...workers, ...state];
/** What runs at the same time; the longest go together. */
const waves = [
  ["never-up", "killed", "producer-killed", "shutdown"],
  ["load"],
  ["lost-replies", "lost-replies-ids", "empty", "idle-20"],
  ["in-flight-10", "in-flight-45", "idle-90"],
];
const there = ["holdfast:spool", "holdfast", "bullmq", "bullmq:fail-fast", "bee-queue"];
// Go's asynq where there is Go.
const all = [...there, ...(spawnSync("go", ["version"]).status === 0 ? ["asynq"] : [])];

const { values } = parseArgs({
  options: {
    only: { type: "string", default: experiments.map(({ name }) => name).join(",") },
    contenders: { type: "string", default: all.join(",") },
    out: { type: "string", default: join(import.meta.dirname, "../../.cache/outages") },
  },
});
const only = values.only.split(",");
const contenders = values.contenders.split(",");
for (const name of only) if (!experiments.some((one) => one.name === name)) throw new Error(`no experiment ${name}`);
for (const name of contenders) if (!all.includes(name)) throw new Error(`no contender ${name}: ${all.join(", ")}`);

// Every server that is under way is ended when this process exits, and the actors end when nobody asks any more.
process.setMaxListeners(100);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
const startMs = performance.now();
await prepare(contenders);
const redis = /v=(\S+)/.exec(execFileSync("redis-server", ["--version"], { encoding: "utf8" }))![1];
const about = `${new Date().toISOString().slice(0, 10)}, Redis ${redis}, Node ${process.version}, ${cpus().length} cores`;
console.log(about);

const chosen = experiments.filter(({ name }) => only.includes(name));
const outcomes: Outcome[] = [];
for (const wave of waves) {
  const together = chosen.filter(({ name }) => wave.includes(name));
  const gate = new Gate(together.length * contenders.length);
  await Promise.all(together.flatMap((one) => contenders.map((contender) => play(one, contender, gate))));
}
for (const one of chosen.filter(({ name }) => !waves.flat().includes(name)))
  for (const contender of contenders) await play(one, contender, new Gate(1));

const { markdown, missed } = table(contenders, chosen, outcomes);
const command = `npm run outages${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(" ")}` : ""}`;
mkdirSync(values.out, { recursive: true });
writeFileSync(join(values.out, "outages.md"), markdown);
writeFileSync(join(values.out, "outages.json"), JSON.stringify({ about, command, missed, outcomes }, undefined, 2));
console.log(`\n${about}; \`${command}\`, ${((performance.now() - startMs) / 60_000).toFixed(1)} min\n\n${markdown}`);
console.log(`${values.out}/outages.md, outages.json`);
for (const line of missed) console.log(`MISSED: ${line}`);
process.exit(missed.length === 0 ? 0 : 1);

async function play(one: Experiment<unknown>, contender: string, gate: Gate): Promise<void> {
  await using scene = await Scene.set(contender, gate, one.durable);
  const late = scene.begun.then(async () => {
    await sleep(one.boundS * 1_000, undefined, { ref: false });
    throw new Error(`not over in ${one.boundS} s`);
  });
  const ended = await Promise.race([one.run(scene), late]).then(
    (result) => ({ result }),
    (error: unknown) => ({ failed: String(error) }),
  );
  const { version, told } = scene;
  const outcome: Outcome = { experiment: one.name, contender, version, told, ...ended };
  outcomes.push(outcome);
  for (const row of one.rows)
    console.log(`${contender.padEnd(16)} ${row.says}: ${outcome.failed ?? row.cell(outcome.result)}`);
}
