/**
 * Uses a spool's directory until it is killed, and writes down on stdout what it was promised: `+ id …` these were
 * accepted, `~ id …` these are about to be released, `< id …` these are another's and were taken over. Written
 * synchronously, so that nothing written is lost with the process.
 */
import { writeSync } from "node:fs";
import { FileSpoolStore } from "../../dist/esm/embedded/spool/file-spool-store.js";

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

/** Written before anything else happens; a pipe that is full is waited for. */
function say(sign, ids) {
  let rest = Buffer.from(ids.length > 0 ? `${sign} ${ids.join(" ")}\n` : "");
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

function newTask() {
  const id = `${name}-${(number += 1)}`;
  const message = {
    type: "kill",
    payload: Buffer.alloc(number % 50 === 0 ? 20_000 : 200, id),
    id,
    queue: "a",
    maxRetry: 25,
    retried: 0,
    lastError: "",
    lastFailedAtMs: 0,
    timeoutMs: 0,
    deadlineMs: 0,
    uniqueKey: "",
    retentionMs: 0,
    completedAtMs: 0,
    group: "",
    headers: {},
  };
  return { message, processAtMs: 0, uniqueForMs: 0, atMostOnce: false, repeat: false };
}

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
