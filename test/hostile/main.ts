import { parseArgs } from "node:util";
import { redisBroker } from "../../src/redis/index.js";
import { RedisServer } from "../support/redis-server.js";
import { OddFile } from "./odd-file.js";
import { besiegeRows } from "./rows-siege.js";
import { besiege } from "./siege.js";

/**
 * `npm run fuzz:keys -- [--count 5000] [--seed n] [--all] [--go | --rows]`: so many hostile key spaces on a real server, what is
 * left of them read by Go's asynq with `--go`, or, with `--rows`, so many files with hostile rows. It stops at the first that
 * fails, unless it is to try them all.
 */
const { values } = parseArgs({
  options: {
    count: { type: "string" },
    seed: { type: "string" },
    all: { type: "boolean" },
    go: { type: "boolean" },
    rows: { type: "boolean" },
  },
});
const count = Number(values.count ?? 5_000);
const first = Number(values.seed ?? Math.floor(Math.random() * 2 ** 30));

const kind = values.rows === true ? "files with hostile rows" : "hostile key spaces";
const site = await (values.rows === true ? openFile() : openServer());
let failures = 0;
let problems = 0;
try {
  for (let seed = first; seed < first + count; seed += 1) {
    const done = seed - first;
    if (done > 0 && done % 500 === 0) process.stderr.write(`${done} of ${count}, ${failures} failed\n`);
    try {
      problems += await site.besiege(seed);
    } catch (error) {
      failures += 1;
      if (values.all !== true) throw error;
      process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n\n`);
    }
  }
} finally {
  await site.close();
}
const seconds = Math.round(performance.now() / 1_000);
process.stdout.write(
  `${count} ${kind} from seed ${first}: ${failures} failed, ${problems} problems were told${site.more()}, in ${seconds} s\n`,
);
process.exitCode = failures === 0 ? 0 : 1;

async function openServer() {
  const server = await RedisServer.start();
  const broker = redisBroker({ url: server.url });
  // Looking for Go takes a moment, which is for those who ask for it.
  const go = values.go === true ? await (await import("../interop/go/go-reader.js")).GoReader.on(server) : undefined;
  return {
    besiege: async (seed: number) => (await besiege(server.admin, broker, seed, go?.peer)).problems,
    more: () => (go === undefined ? "" : `, Go read ${go.told} tasks in ${go.spaces} of them`),
    close: async () => {
      await go?.close();
      await broker.close();
      await server.stop();
    },
  };
}

async function openFile() {
  const file = await OddFile.open();
  return {
    besiege: async (seed: number) => {
      await besiegeRows(file.database, file.broker, seed);
      return 0;
    },
    more: () => "",
    close: () => file.close(),
  };
}
