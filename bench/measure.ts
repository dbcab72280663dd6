/** One measurement in a process of its own: `measure.ts <contender> <scenario> <url>` prints a line of JSON. */
import { Redis } from "ioredis";
import type { Contender } from "./contender.js";
import { type Measured, scenarios } from "./scenarios.js";

const [name, scenarioName, url] = process.argv.slice(2) as [string, string, string];
const { open } = (await import(`./contenders/${name}.js`)) as { open: (url: string) => Contender };
const scenario = scenarios.find((one) => one.name === scenarioName)!;
const redis = new Redis(url);

/** Seconds of CPU that the server has used, in user and system mode, its background threads left out. */
async function serverCpuS(): Promise<number> {
  const info = await redis.info("cpu");
  const read = (field: string) => Number(new RegExp(`^${field}:([\\d.]+)`, "m").exec(info)![1]);
  return read("used_cpu_user") + read("used_cpu_sys");
}

await redis.flushall();
const contender = open(url);
const { count, seconds, cpuS } = await scenario.run(contender, serverCpuS);
const measured: Measured = {
  version: contender.version,
  perSecond: count / seconds,
  serverCpuUs: (cpuS / count) * 1e6,
};
console.log(JSON.stringify(measured));
await contender.close();
redis.disconnect();
process.exit(0);
