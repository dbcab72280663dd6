/**
 * Uses a spool's directory until it is killed, and writes down on stdout what it was promised: `+ id …` these were
 * accepted, `~ id …` these are about to be released, `< id …` these are another's and were taken over. Written
 * synchronously, so that nothing written is lost with the process.
 */
import { writeSync } from "node:fs";
import { FileSpoolStore } from "../../dist/esm/embedded/spool/file-spool-store.js";
import { say, taskOf } from "./killed.mjs";

const [directory, name, mode] = process.argv.slice(2);
const quiet = {
  debug() {},
  info() {},
  warn() {},
  error: (fields, sentence) => writeSync(2, sentence + JSON.stringify(fields)),
};
const store = new FileSpoolStore({ directory, key: Buffer.alloc(32, 7) }, quiet);
const nowMs = 1_800_000_000_000;
let number = 0;

const newTask = () => taskOf(name, (number += 1), "a");

async function accept() {
  for (;;) {
    const tasks = Array.from({ length: 1 + (number % 9) }, newTask);
    await store.append(tasks, nowMs);
    say(
      "+",
      tasks.map(({ message }) => message.id),
    );
  }
}

/** Half of what it has, so that there is always something left to be taken over. */
async function release() {
  for (let after = 0; ;) {
    const read = await store.read(after, 20);
    const leaving = read.filter(({ sequence }) => sequence % 2 === 0);
    say(
      "~",
      leaving.map(({ task }) => task.message.id),
    );
    await store.release(
      leaving.map(({ sequence, task }) => ({
        sequence,
        outcome: { status: "enqueued", id: task.message.id, state: "pending" },
      })),
    );
    after = read.at(-1)?.sequence ?? after;
  }
}

/** Says what is taken over, each task once. */
function watch() {
  let after = 0;
  const look = async () => {
    const read = await store.read(after, 100_000);
    const fresh = read.filter(({ sequence }) => sequence > after);
    after = Math.max(after, read.at(-1)?.sequence ?? 0);
    say(
      "<",
      fresh.map(({ task }) => task.message.id).filter((id) => !id.startsWith(name)),
    );
  };
  store.onAdopted(() => void look());
}

writeSync(1, "ready\n");
if (mode === "watch") {
  watch();
  await store.append([newTask()], nowMs);
  setInterval(() => {}, 1_000);
} else if (mode === "accept") await accept();
else await Promise.all([accept(), accept(), release()]);
