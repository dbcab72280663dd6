/** One measurement in a process of its own: `measure.ts <contender> <scenario> <url>` prints a line of JSON. */
import { Redis } from "ioredis";
import type { Open } from "./contender.js";
import { type Figures, scenarios, type ServerUse } from "./scenarios.js";

export interface Measured {
  readonly version: string;
  readonly figures: Figures | undefined;
}

const [name, scenarioName, url] = process.argv.slice(2) as [string, string, string];
const { open } = (await import(`./contenders/${name}.js`)) as { open: Open };
const scenario = scenarios.find((one) => one.name === scenarioName)!;
const redis = new Redis(url);

/** CPU in user and system mode, the server's background threads left out. */
async function server(): Promise<ServerUse> {
  const info = await redis.info("everything");
  const read = (field: string) => Number(new RegExp(`^${field}:([\\d.]+)`, "m").exec(info)![1]);
  return {
    cpuS: read("used_cpu_user") + read("used_cpu_sys"),
    commands: read("total_commands_processed"),
  };
}

await redis.flushall();
const contender = await open(url, scenario.queueCount);
const measured: Measured = {
  version: contender.version,
  figures: await scenario.run({ contender, url, name, server }),
};
console.log(JSON.stringify(measured));
await contender.close();
redis.disconnect();
process.exit(0);
