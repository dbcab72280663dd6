// A worker process of a chaos run: `worker.mjs <options JSON>`. What its handlers do is a line in its journal, not in Redis.
import { hash as hashOf } from "node:crypto";
import { subscribe } from "node:diagnostics_channel";
import { setPriority } from "node:os";
import { connect, defineTask, fixed, rawBytes, SkipRetry, Worker } from "../../../dist/esm/index.js";
import { openJournal, tellMemory } from "./journal.mjs";

const options = JSON.parse(process.argv[2]);
const { name, url, journal: file, connect: connectOptions, worker: workerOptions, hogs, handlerMs = 20 } = options;
const journal = openJournal(file, name);
/** The calls of what runs here, by id. */
const running = new Map();
subscribe("holdfast.task", ({ event, id, outcome, receipt }) => {
  if (event !== "settled") return;
  void journal.tell({ e: "settled", id, k: running.get(id), outcome, receipt });
  running.delete(id);
});
subscribe("holdfast.broker", ({ event, id }) => {
  if (event === "leaseLost") journal.say({ e: "leaseLost", id, k: running.get(id) });
  if (event === "evicting") journal.say({ e: "alarm", event });
});

const broker = connect(url, connectOptions);
// What goes wrong on purpose is in the journals.
const log = { debug() {}, info() {}, warn() {}, error() {} };
const worker = new Worker(broker, { ...workerOptions, log });
let runs = 0;
const hoard = [];

worker.handle(defineTask("chaos", { codec: rawBytes, retry: fixed("1s") }), async (payload, { id, attempt }) => {
  const [k, plan, ms] = Buffer.from(payload).toString().split("|");
  const run = `${name}#${(runs += 1)}`;
  const hash = hashOf("sha1", payload);
  running.set(id, k);
  await journal.tell({ e: "start", k, id, run, attempt, hash });
  const end = (how) => journal.tell({ e: "finish", k, run, how });
  if (plan === "block") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(ms));
  if (plan === "hog" && hogs) for (;;) hoard.push(Array.from({ length: 10_000 }, () => ({ full: runs })));
  if (plan !== "ordered" && plan !== "block") {
    await new Promise((resolve) => setTimeout(resolve, Number(ms) || Math.random() * handlerMs));
  }
  if (plan === "flaky" && attempt === 1) {
    await end("failed");
    throw new Error("the first attempt fails");
  }
  if (plan === "skip") {
    await end("skipped");
    throw new SkipRetry("not wanted");
  }
  await end("done");
});

tellMemory(journal);
process.once("SIGTERM", () => void stop());
// Whoever started it is gone.
process.once("disconnect", () => process.exit());
if (options.nice !== undefined) setPriority(options.nice);
process.send("ready");
for (;;) {
  try {
    await worker.start();
    break;
  } catch {
    // Storage is away: whoever runs workers starts them again.
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function stop() {
  await worker.stop();
  await broker.close();
  journal.say();
  process.disconnect();
}
