import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Mode, modes } from "./modes.js";
import { comparisonText, reportText, type SoakReport } from "./report.js";
import { runSoak } from "./run.js";

const { values } = parseArgs({
  options: {
    soak: { type: "boolean" },
    seed: { type: "string", default: "1" },
    tasks: { type: "string", default: "1000000" },
    faults: { type: "string", default: "500" },
    mode: { type: "string", default: modes.map(({ name }) => name).join(",") },
    minutes: { type: "string", default: "120" },
    gap: { type: "string", default: "2000" },
    rate: { type: "string", default: "1800" },
    out: { type: "string", default: ".cache/chaos" },
  },
});
/** `npm run chaos -- --soak [--tasks n] [--faults n] [--mode none,retries,all] [--minutes m] [--rate n] [--gap ms] [--seed n]`; docs/operate/soak.md says more. */
const [seed, tasks, faults, minutes, perSecond, gapMs] = [
  values.seed,
  values.tasks,
  values.faults,
  values.minutes,
  values.rate,
  values.gap,
].map(Number) as [number, number, number, number, number, number];
const wanted = values.mode.split(",").map((name) => {
  const mode = modes.find((one) => one.name === name);
  if (mode === undefined) throw new Error(`--mode takes ${modes.map((one) => one.name).join(", ")}, got ${name}`);
  return mode;
});
const say = (text: string) => process.stdout.write(`${text}\n`);
const redis = spawnSync("redis-server", ["--version"]).stdout.toString().split(" ")[2]?.slice(2) ?? "";

// A process that could not be started in its turn: the run goes on, and shows it.
process.on("unhandledRejection", (error) => say(`trouble: ${String(error)}`));

const fileOf = ({ name }: Pick<Mode, "name">) => join(values.out, `soak-${name}-${seed}.json`);

mkdirSync(values.out, { recursive: true });
for (const mode of wanted) {
  const startedAt = new Date().toISOString();
  say(`${startedAt} ${mode.name}: seed ${seed}, Node ${process.version}, Redis ${redis}`);
  const tell = (line: string) => say(`${mode.name}: ${line}`);
  // oxlint-disable-next-line no-await-in-loop -- one after the other, for the machine is one
  const soak = await runSoak({ mode, tasks, faults, seed, minutes, perSecond, gapMs, tell });
  const { faults: injected, ...rest } = soak;
  const { name, says } = mode;
  const report: SoakReport = {
    mode: { name, says },
    seed,
    startedAt,
    node: process.version,
    redis,
    faults: injected.length,
    ...rest,
  };
  const file = fileOf(mode);
  writeFileSync(file, JSON.stringify(report, null, 2));
  say(reportText(report));
  say(file);
  const { broken } = soak.verdict;
  // What a mode without a spool loses is what it is run for.
  if (Object.keys(broken).some((invariant) => invariant !== "lost" || mode.spool)) process.exitCode = 1;
}

// Also what was run before, one mode at a time.
const done = modes.map(fileOf).filter((file) => existsSync(file));
const together = join(values.out, `soak-${seed}.md`);
writeFileSync(together, comparisonText(done.map((file) => JSON.parse(readFileSync(file, "utf8")) as SoakReport)));
say(together);
