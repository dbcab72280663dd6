import { parseArgs } from "node:util";
import { redisBroker } from "../../src/redis/index.js";
import { RedisServer } from "../support/redis-server.js";
import { besiege } from "./siege.js";

/** `npm run fuzz:keys -- [--count 5000] [--seed n] [--all]`: so many hostile key spaces on a real server. */
const { values } = parseArgs({
  options: { count: { type: "string" }, seed: { type: "string" }, all: { type: "boolean" } },
});
const count = Number(values.count ?? 5_000);
const first = Number(values.seed ?? Math.floor(Math.random() * 2 ** 30));

const server = await RedisServer.start();
const broker = redisBroker({ url: server.url });
let failures = 0;
let problems = 0;
try {
  for (let seed = first; seed < first + count; seed += 1) {
    try {
      ({ problems } = { problems: problems + (await besiege(server.admin, broker, seed)).problems });
    } catch (error) {
      failures += 1;
      if (values.all !== true) throw error;
      process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n\n`);
    }
  }
} finally {
  await broker.close();
  await server.stop();
}
process.stdout.write(
  `${count} hostile key spaces from seed ${first}: ${failures} failed, ${problems} keys in the way were told\n`,
);
process.exitCode = failures === 0 ? 0 : 1;
