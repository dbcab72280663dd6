import { exitCodes } from "../src/cli/exit-codes.js";
import { type ErrorCode, type ErrorData, HoldfastError, errorCodes } from "../src/core/errors.js";
import { table } from "./markdown-table.js";

interface Guide<C extends ErrorCode> {
  /** To show the sentence with. */
  readonly sample: ErrorData<C>;
  readonly advice: string;
}

const broker = "redis://localhost:6379";

/** What to do about each error. A code that is missing here does not compile. */
const guides: { readonly [C in ErrorCode]: Guide<C> } = {
  OPTION_INVALID: {
    sample: { option: "Worker.concurrency", problem: "must be a whole number, 1 … 10000, got 0" },
    advice: "Correct the option. `data.option` is its path.",
  },
  PAYLOAD_INVALID: {
    sample: {
      type: "email:welcome",
      path: "user.balance",
      problem: "a BigInt cannot be written as JSON: send it as a string",
    },
    advice:
      "Correct the payload at `data.path`. In a worker: the stored payload does not fit this worker's definition; the task is archived as `schema_mismatch`.",
  },
  PAYLOAD_TOO_LARGE: {
    sample: { type: "image:resize", bytes: 2_000_000, maxBytes: 1_048_576 },
    advice: "Store the data elsewhere and enqueue a reference, or raise `maxPayloadBytes` of the client.",
  },
  RESULT_INVALID: {
    sample: { type: "report:daily", problem: "does not fit the schema (1 issue) at rows" },
    advice:
      "The handler returned what its definition does not allow, or more than 1 MiB. It counts as a failed attempt.",
  },
  SEARCH_INVALID: {
    sample: { column: 7, problem: 'reason is one of failed, retries_exhausted, …; got "timeot"' },
    advice: "Correct the search at `data.column` (from 1). [All terms](../guide/dead-letter-search.md).",
  },
  HANDLER_EXISTS: { sample: { type: "email:welcome" }, advice: "Register each type once per worker." },
  TASK_NOT_FOUND: {
    sample: { queue: "default", id: "0199…" },
    advice: "The task is finished, deleted, or in another queue.",
  },
  GROUP_NOT_FOUND: {
    sample: { fingerprint: "v1:97f04c1ae3ca089d" },
    advice: "Copy the fingerprint whole; a group of which nobody said anything is forgotten some time after its tasks.",
  },
  QUEUE_NOT_FOUND: {
    sample: { queue: "defualt" },
    advice: "Check the name; a queue exists once something was enqueued on it.",
  },
  REDRIVE_NOT_FOUND: {
    sample: { id: "0199…" },
    advice: "`holdfast dlq redrive status` lists those there are; they are kept for 30 days after their end.",
  },
  RULE_NOT_FOUND: {
    sample: { name: "smtp-again" },
    advice: "`holdfast dlq rules ls` lists those there are.",
  },
  NOT_QUARANTINED: {
    sample: { queue: "default", id: "0199…", state: "archived" },
    advice: "It needs no care of that kind: `holdfast dlq run` runs it.",
  },
  REDRIVE_ENDED: {
    sample: { id: "0199…", status: "done" },
    advice: "It cannot be steered any more. What it did not move is a dead letter: start another one.",
  },
  QUEUE_NOT_EMPTY: {
    sample: { queue: "default" },
    advice:
      "Empty it, or drop it with `force`, which deletes its tasks. With `force`: tasks kept coming, stop who enqueues.",
  },
  TASK_ACTIVE: {
    sample: { queue: "default" },
    advice: "Pause the queue and wait until its active tasks are done, or cancel them.",
  },
  ENQUEUE_LIMITED: {
    sample: { perSecond: 100, retryAfterMs: 250 },
    advice:
      'Enqueue again after `data.retryAfterMs`, or let the client wait (`whenLimited: "wait"`). Nothing was sent. [Back-pressure](../guide/back-pressure.md).',
  },
  QUEUE_FULL: {
    sample: { queue: "images", pending: 10_000, tasks: 1, maxPending: 10_000 },
    advice:
      "Workers are behind: enqueue later, drop what can be dropped, or add workers. Nothing was sent. [Back-pressure](../guide/back-pressure.md).",
  },
  BROKER_UNAVAILABLE: {
    sample: { broker, problem: "connect ECONNREFUSED 127.0.0.1:6379", outcome: "notSent", taskIds: [] },
    advice:
      "Storage did not answer in time. `data.outcome`: `notSent` and `refused` changed nothing; after `unknown` repeat with the same task ids. `data.queues`, `data.workers`: only these could not be asked, for a node of a Cluster is away.",
  },
  BROKER_FAILED: {
    sample: { broker, problem: "OOM command not allowed when used memory > 'maxmemory'" },
    advice: "Storage answered with an error. Mend what it names; `cause` has the original.",
  },
  BROKER_INCOMPATIBLE: {
    sample: { broker, problem: "it is Redis 5.0.14, 6.2 or newer is needed" },
    advice: "Use another server, setting or package, as the sentence says. Trying again does not help.",
  },
  RUN_INTERRUPTED: {
    sample: { moved: 1_500, requestId: "0199…" },
    advice:
      "Make the same call again: what runs already is no dead letter any more. `cause` is the error that stopped it.",
  },
  BULK_INTERRUPTED: {
    sample: {
      queue: "default",
      to: "archived",
      moved: 1_500,
      skipped: 0,
      scanned: 1_500,
      total: 3_000,
      requestId: "0199…",
    },
    advice:
      "`cause` says what went wrong. Mend that and call again: what was done is no longer in the selection. Of ids, the first `data.scanned` are done.",
  },
  SPOOL_FULL: {
    sample: {
      directory: "/var/lib/shop/spool",
      tasks: 812_044,
      maxTasks: 1_000_000,
      bytes: 1_073_741_800,
      maxBytes: 1_073_741_824,
      diskFull: false,
    },
    advice:
      "Nothing was accepted. Bring Redis back, or give the spool more room; what it holds is kept whatever comes.",
  },
  SPOOL_FAILED: {
    sample: { directory: "/var/lib/shop/spool", problem: "the disk did not confirm the write (disk I/O error)" },
    advice:
      "Not accepted, as far as anybody can promise: mend the disk or the directory, and repeat it with the same ids. What was accepted before is still in its file.",
  },
  SPILL_FAILED: {
    sample: {
      path: "/var/lib/shop/dead-letters",
      problem: "ENOSPC: no space left on device; nothing was deleted that is not in a file",
    },
    advice:
      "Make room, or mend the file's disk, and do it again: what was spilled before is in its file, all else still in storage.",
  },
  CLOSED: { sample: { what: "the broker" }, advice: "Do not use what you closed." },
  TASK_TIMEOUT: {
    sample: { timeoutMs: 30_000 },
    advice:
      "Seen as `signal.reason`, recorded as `timeout`, and retried. Raise `timeout`, or make the handler obey its signal.",
  },
  TASK_DEADLINE: {
    sample: { deadlineMs: Date.UTC(2026, 0, 1) },
    advice: "Seen as `signal.reason`, recorded as `deadline`. The task is archived: a deadline does not come back.",
  },
  TASK_CANCELLED: {
    sample: { id: "0199…", how: "retry" },
    advice:
      "Seen as `signal.reason`, recorded as `cancelled`: somebody cancelled the task. End soon; it is tried again, or archived where `data.how` is `archive`.",
  },
  LEASE_LOST: {
    sample: { id: "0199…" },
    advice:
      "Seen as `signal.reason`. Stop: what this handler does from now on may be done by another one too. Its result is not stored.",
  },
  WORKER_STOPPING: {
    sample: { id: "0199…" },
    advice:
      "Seen as `signal.reason` when `stop()` has waited long enough. End soon; the task runs again elsewhere, no failure is counted (an at-most-once task is archived as `cancelled`).",
  },
  EFFECT_INTERRUPTED: {
    sample: { id: "0199…", key: "charge" },
    advice:
      "From `task.once` in a handler. A worker died between an effect and the note that it was done, or is still at it; or the effect was aborted in its midst, or its result could not be noted. Find out whether it happened, and give `once` the way to do so: `ifInterrupted`. [Once, and its limits](../guide/exactly-enough.md).",
  },
  HANDLER_MISSING: {
    sample: { type: "email:welcome" },
    advice:
      "Recorded as `no_handler`; the task goes back for 30 s, nothing counted, for a worker that knows the type. Register a handler, or use other queues.",
  },
  BUILD_TOO_OLD: {
    sample: { type: "email:welcome", build: "1.4.1", minBuild: "1.4.2" },
    advice:
      "Recorded as `no_handler`, and tried again after 30 s: a worker that gives a later `build` runs it. Asked for by `minBuild` of a run or redrive.",
  },
  MESSAGE_INVALID: {
    sample: { problem: "text that is not valid UTF-8", offset: 17 },
    advice: "What is stored is no task. It is archived as `decode_error` with its bytes unchanged.",
  },
};

export function errorTable(): string {
  const rows = errorCodes.map((code) => {
    const { sample, advice } = guides[code];
    const { message } = new HoldfastError(code, sample as never);
    return [`\`${code}\``, message, advice, String(exitCodes[code] ?? "–")];
  });
  return table(["Code", "For example", "What to do", "Exit"], rows);
}
