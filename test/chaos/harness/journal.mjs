// What a process of a chaos run writes down, outside storage: a JSON object a line, each with a system call of its own, so
// that kill -9 hides nothing. `at` is the machine's monotonic clock, which its processes share and no fault moves.
import { fdatasync, openSync, writeSync } from "node:fs";

export const now = () => Math.round(Number(process.hrtime.bigint()) / 1e3) / 1e3;

export function openJournal(file, by) {
  const fd = openSync(file, "a");
  let syncing = false;
  let waiting = "";
  let written;
  const line = (event) => `${JSON.stringify({ at: now(), by, ...event })}\n`;
  const flush = () => {
    if (waiting !== "") writeSync(fd, waiting);
    waiting = "";
    written = undefined;
  };
  return {
    say(...events) {
      flush();
      writeSync(fd, events.map(line).join(""));
    },
    /** Resolves when it is written, with all that is said in this turn of the event loop. */
    tell(event) {
      waiting += line(event);
      written ??= new Promise((resolve) => setImmediate(() => resolve(flush())));
      return written;
    },
    /** What was accepted is on disk soon; one call at a time. */
    sync() {
      if (syncing) return;
      syncing = true;
      fdatasync(fd, () => (syncing = false));
    },
  };
}

/** Memory once a second, until the process ends. */
export function tellMemory(journal) {
  setInterval(() => journal.say({ e: "memory", rss: process.memoryUsage.rss() }), 1_000).unref();
}
