// A worker process of a chaos run: `worker.mjs <options JSON>`. What its handlers do is a line in its journal, not in Redis.
import { createHash } from "node:crypto";
import { subscribe } from "node:diagnostics_channel";
import { connect, defineTask, fixed, rawBytes, SkipRetry, Worker } from "../../../dist/esm/index.js";
import { openJournal, tellMemory } from "./journal.mjs";

const { name, url, journal: file, connect: connectOptions, worker: workerOptions, hogs } = JSON.parse(process.argv[2]);
const journal = openJournal(file, name);
subscribe("holdfast.task", ({ event, id, outcome, receipt }) => {
  if (event === "settled") journal.say({ e: "settled", id, outcome, receipt });
});
subscribe("holdfast.broker", ({ event, id }) => {
  if (event === "leaseLost") journal.say({ e: "leaseLost", id });
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
  const hash = createHash("sha1").update(payload).digest("hex");
  journal.say({ e: "start", k, id, run, attempt, hash });
  const end = (how) => journal.say({ e: "finish", k, run, how });
  if (plan === "block") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(ms));
  if (plan === "hog" && hogs) for (;;) hoard.push(Array.from({ length: 10_000 }, () => ({ full: runs })));
  if (plan !== "ordered" && plan !== "block") {
    await new Promise((resolve) => setTimeout(resolve, Number(ms) || Math.random() * 20));
  }
  if (plan === "flaky" && attempt === 1) {
    end("failed");
    throw new Error("the first attempt fails");
  }
  if (plan === "skip") {
    end("skipped");
    throw new SkipRetry("not wanted");
  }
  end("done");
});

tellMemory(journal);
process.once("SIGTERM", () => void stop());
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
  process.disconnect();
}
