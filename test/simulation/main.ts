import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { simulate } from "./run.js";
import { told } from "./telling.js";

const say = (text: string) => void process.stdout.write(`${text}\n`);

const usage = `npm run simulate -- [--seeds 500] [--from 1] [--processes 2]   that many seeds, from that one on
npm run simulate -- --seed 42 [--trace]                         one, with all that happened
npm run simulate -- --differential 200 [--from 1]               the simulated storage beside a Redis: so many sequences`;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "500" },
    from: { type: "string", default: "1" },
    processes: { type: "string", default: String(availableParallelism()) },
    seed: { type: "string" },
    trace: { type: "boolean", default: false },
    differential: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

/** What a process tells of each of its seeds. */
interface Told {
  readonly seed: number;
  readonly happened: number;
  readonly failure: string | undefined;
}

async function tell(seed: number): Promise<Told> {
  try {
    const run = await simulate(seed);
    return { seed, happened: run.happened, failure: run.violations.length > 0 ? told(run) : undefined };
  } catch (error) {
    return { seed, happened: 0, failure: `seed ${seed}: ${(error as Error).stack ?? String(error)}` };
  }
}

async function one(seed: number): Promise<void> {
  const run = await simulate(seed);
  if (values.trace) say(run.trace().join("\n"));
  say(run.violations.length > 0 ? told(run) : `seed ${seed}: nothing found. ${JSON.stringify(run.counts)}`);
  process.exitCode = run.violations.length > 0 ? 1 : 0;
}

/** In several processes side by side; each takes every so manieth seed. */
async function many(from: number, count: number, processes: number): Promise<void> {
  const startedMs = performance.now();
  let [done, happened, failed] = [0, 0, 0];
  const hear = (its: Told) => {
    done += 1;
    happened += its.happened;
    if (its.failure !== undefined) {
      failed += 1;
      say(its.failure);
    }
    if (done % 1_000 === 0) say(`${done} of ${count} seeds`);
  };
  await Promise.all(
    Array.from({ length: Math.min(processes, count) }, async (_, n) => {
      const share = { from: from + n, seeds: count - n, processes };
      const child = fork(
        import.meta.filename,
        Object.entries(share).flatMap(([name, value]) => [`--${name}`, `${value}`]),
      );
      child.on("message", hear);
      const code = await new Promise((resolve) => child.once("exit", resolve));
      if (code !== 0) throw new Error(`a process of the simulation ended with ${String(code)}`);
    }),
  );
  const seconds = (performance.now() - startedMs) / 1_000;
  say(`${done} seeds, ${happened} happenings, ${seconds.toFixed(0)} s: ${failed} failed`);
  process.exitCode = failed === 0 && done === count ? 0 : 1;
}

/** One of the processes of `many`. */
async function part(from: number, count: number, every: number): Promise<void> {
  for (let n = 0; n < count; n += every) process.send!(await tell(from + n));
  process.disconnect();
}

async function beside(from: number, count: number): Promise<void> {
  const { redisBroker } = await import("../../src/redis/index.js");
  const { RedisServer } = await import("../support/redis-server.js");
  const { differential } = await import("./differential.js");
  await using server = await RedisServer.start();
  const broker = redisBroker({ url: server.url });
  let calls = 0;
  for (let seed = from; seed < from + count; seed += 1) {
    for await (const { call, simulated, real } of differential(seed, broker, server)) {
      calls += 1;
      if (JSON.stringify(simulated) === JSON.stringify(real)) continue;
      say(`sequence ${seed}, ${call}: ${JSON.stringify({ simulated, real })}`);
      process.exitCode = 1;
      break;
    }
  }
  await broker.close();
  say(`${count} sequences, ${calls} calls`);
}

const number = (text: string) => Number.parseInt(text, 10);
const { from, seeds, processes } = values;
if (values.help) say(usage);
else if (values.seed !== undefined) await one(number(values.seed));
else if (values.differential !== undefined) await beside(number(from), number(values.differential));
else if (process.send !== undefined) await part(number(from), number(seeds), number(processes));
else await many(number(from), number(seeds), number(processes));
