// One worker process of a fleet: `fleet-worker.mjs <url> <journal> <options JSON>`. Every run is written to the journal
// with a system call of its own before the handler does anything, so that a kill -9 cannot hide a run.
import { openSync, writeSync } from "node:fs";
import { connect, defineTask, Worker } from "../../dist/esm/index.js";

const [url, journal, json] = process.argv.slice(2);
const { handlerMs, ...options } = JSON.parse(json);
const file = openSync(journal, "a");
const task = defineTask("fleet");

const broker = connect(url);
const worker = new Worker(broker, options).handle(task, async (_payload, { id, attempt, crashes }) => {
  writeSync(file, `start ${id} ${attempt} ${crashes} ${Date.now()}\n`);
  if (handlerMs > 0) await new Promise((resolve) => setTimeout(resolve, handlerMs));
  writeSync(file, `end ${id} ${attempt} ${crashes} ${Date.now()}\n`);
});
await worker.start();
process.send?.("ready");
process.once("SIGTERM", () => void end());

async function end() {
  await worker.stop();
  process.send?.(worker.counters());
  await broker.close();
  process.exit(0);
}
