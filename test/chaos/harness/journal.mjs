// What a process of a chaos run writes down, outside storage: a JSON object a line, each with a system call of its own, so
// that kill -9 hides nothing. `at` is the machine's monotonic clock, which its processes share and no fault moves.
import { fdatasync, openSync, writeSync } from "node:fs";
import v8 from "node:v8";
import { runInNewContext } from "node:vm";

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
  const read = memoryReader();
  setInterval(() => journal.say({ e: "memory", ...read() }), 1_000).unref();
}

/** More above what was in use at first is looked into. */
const muchMore = 64 * 2 ** 20;

/**
 * What this process has of the system (`rss`), and, at first and where that has grown much, what of it is in use
 * (`kept`). V8 takes up to 50 MB for garbage that it has had no cause to collect, and is slow to give them back: so that
 * is collected, and what the heap has and does not use is left out. Of other threads' heaps all counts.
 * Collecting stops the process for up to 0.2 s on a busy machine, so it is not done each second.
 */
export function memoryReader(everyMs = 5_000) {
  v8.setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  let firstKept;
  let lookedMs = Number.NEGATIVE_INFINITY;
  return () => {
    const { rss, heapTotal, external } = process.memoryUsage();
    if (firstKept !== undefined && (rss - firstKept < muchMore || now() < lookedMs + everyMs)) return { rss };
    lookedMs = now();
    collect();
    const left = process.memoryUsage();
    // What the system gets back it gets later, so what it has by now says nothing.
    const kept = rss - (heapTotal - left.heapUsed) - (external - left.external);
    firstKept ??= kept;
    return { rss, kept };
  };
}
