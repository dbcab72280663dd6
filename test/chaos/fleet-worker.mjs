// One worker process of a fleet: `fleet-worker.mjs <url> <journal> <options JSON>`. Every run is written to the journal
// with a system call of its own before the handler does anything, so that a kill -9 cannot hide a run.
import { openSync, writeSync } from "node:fs";
import { connect, defineTask, fixed, Worker } from "../../dist/esm/index.js";

const [url, journal, json] = process.argv.slice(2);
const { handlerMs, flaky = [], ...options } = JSON.parse(json);
const file = openSync(journal, "a");

const broker = connect(url);
// What fails on purpose is not worth a line.
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const worker = new Worker(broker, flaky.length > 0 ? { ...options, log: quiet } : options);
for (const type of ["fleet", ...flaky]) {
  worker.handle(defineTask(type, { retry: fixed("1s") }), async (_payload, { id, attempt, crashes }) => {
    writeSync(file, `start ${id} ${attempt} ${crashes} ${Date.now()}\n`);
    if (handlerMs > 0) await new Promise((resolve) => setTimeout(resolve, handlerMs));
    writeSync(file, `end ${id} ${attempt} ${crashes} ${Date.now()}\n`);
    if (attempt === 1 && type !== "fleet") throw new Error("the first attempt fails");
  });
}
await worker.start();
// First: whoever hears that it is ready may stop it at once.
process.once("SIGTERM", () => void end());
process.send?.("ready");

async function end() {
  await worker.stop();
  process.send?.(worker.counters());
  await broker.close();
  process.exit(0);
}
