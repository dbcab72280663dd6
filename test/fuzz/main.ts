import { parseArgs } from "node:util";
import { fuzz } from "./fuzz.js";
import { targets } from "./targets.js";

/** `npm run fuzz -- [--count 1000000] [--seed n] [--only name]`: each decoder against so many mutated inputs. */
const { values } = parseArgs({
  options: { count: { type: "string" }, seed: { type: "string" }, only: { type: "string" } },
});
const count = Number(values.count ?? 1_000_000);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const chosen = targets.filter(({ name }) => values.only === undefined || name === values.only);
if (!(count >= 1) || !Number.isInteger(seed) || chosen.length === 0) {
  process.stderr.write(
    `usage: npm run fuzz -- [--count n] [--seed n] [--only ${targets.map(({ name }) => name).join("|")}]\n`,
  );
  process.exit(2);
}

for (const target of chosen) {
  const startedMs = performance.now();
  const { taken, refused, slowestMs } = await fuzz(target, count, seed);
  const tookS = ((performance.now() - startedMs) / 1_000).toFixed(1);
  process.stdout.write(
    `${target.name}: ${count} inputs of seed ${seed} in ${tookS} s: ${taken} taken, ${refused} refused, slowest ${slowestMs.toFixed(1)} ms\n`,
  );
}
