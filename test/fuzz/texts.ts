import { storedFailure } from "../../src/broker/failures.js";
import { connect } from "../../src/connect.js";
import { maxDurationMs, toMs, type Duration } from "../../src/core/duration.js";
import { HoldfastError } from "../../src/core/errors.js";
import { queueName, taskName } from "../../src/core/names.js";
import { json } from "../../src/core/payload.js";
import { reasons } from "../../src/core/outcome.js";
import { storedJson } from "../../src/core/stored-json.js";
import { placeOf } from "../../src/embedded/paging.js";
import { list } from "../../src/redis/list.js";
import { failure } from "../support/builders.js";
import { answering } from "./replies.js";
import type { Target, Verdict } from "./fuzz.js";

const secret = "s3cr3t";

function textTarget(
  name: string,
  seeds: readonly string[],
  attempt: (text: string) => Verdict | Promise<Verdict>,
): Target<string> {
  return {
    name,
    seeds: seeds.map((seed) => Buffer.from(seed)),
    // As Latin-1 now and then: then half of what is no ASCII is no control character, and no replacement character either.
    input: (mutator) => mutator.next().toString(mutator.below(2) === 0 ? "latin1" : "utf8"),
    show: (text) => Buffer.from(text).toString("hex"),
    try: attempt,
  };
}

/** Refused with OPTION_INVALID, in one short line that does not hold `hidden`. */
function orInvalid(work: () => void, hidden?: string): Verdict {
  try {
    work();
    return "taken";
  } catch (error) {
    if (!HoldfastError.is(error, "OPTION_INVALID")) throw error;
    if (hidden !== undefined && error.message.includes(hidden))
      throw new Error(`tells the password: ${error.message}`, { cause: error });
    // oxlint-disable-next-line no-control-regex
    if (/[\u0000-\u001f\u007f]/.test(error.message) || error.message.length > 500)
      throw new Error(`no line for a log: ${JSON.stringify(error.message)}`, { cause: error });
    return "refused";
  }
}

const url = textTarget(
  "URL",
  [
    "redis://localhost",
    `redis://user:${secret}@host.example:6380/2?timeout=5s`,
    `rediss://:${secret}@[::1]:6379/0`,
    `redis-socket://user:${secret}@/run/redis.sock?db=3&timeout=1m`,
    `redis-cluster://user:${secret}@one:7000,[::1]:7001,three?timeout=1s`,
    `rediss-sentinel://:${secret}@one,two:26380/3?master=mymaster`,
    "file:./tasks.db",
    "file:///var/lib/tasks.db",
    "memory:",
  ],
  (text) =>
    orInvalid(
      () => {
        const { label } = connect(text);
        // oxlint-disable-next-line no-control-regex
        if (/[\u0000-\u001f\u007f]/.test(label))
          throw new Error(`a label is no line for a log: ${JSON.stringify(label)}`);
        // A file's name holds no password, and is shown.
      },
      /^file:/i.test(text) ? undefined : secret,
    ),
);

const duration = textTarget("duration", ["250ms", "30s", "1.5m", "2h", "36500d", "0s", "1e3s"], (text) =>
  orInvalid(() => {
    const ms = toMs(text as Duration, "option");
    if (!Number.isInteger(ms) || ms < 0 || ms > maxDurationMs) throw new Error(`is ${ms} ms`);
  }),
);

const names = textTarget("names", ["default", "a:b.c-D_9", "email:send", "f".repeat(128), "übung"], (text) => {
  const asQueue = orInvalid(() => void queueName(text));
  const asName = orInvalid(() => void taskName(text, "id"));
  if (asQueue === "taken" && (asName === "refused" || /[{}*?[\]\s]/.test(text)))
    throw new Error("a queue's name that is none");
  if (asName === "taken" && Buffer.from(text).toString() !== text) throw new Error("does not survive storage");
  return asName;
});

const failures = textTarget(
  "hf_failure",
  [
    JSON.stringify(failure()),
    JSON.stringify(failure({ stack: "at x", reason: "quarantined" })),
    "null",
    "[[[]]]",
    "{}",
  ],
  (text) => {
    const read = storedFailure(text);
    if (read === undefined) return "refused";
    const { reason, class: name, message, stack = "", startedAtMs, durationMs } = read;
    if ([reason, name, message, stack].some((part) => typeof part !== "string")) throw new Error("no text");
    if (reason.length + name.length + message.length + stack.length > text.length)
      throw new Error("more than there was");
    if (!reasons.includes(reason) && !/^[a-z_]+$/.test(reason)) throw new Error("no reason");
    if (Number.isNaN(new Date(startedAtMs).getTime()) || !(durationMs >= 0)) throw new Error("no times");
    return "taken";
  },
);

const progress = textTarget("hf_progress", ['{"done":5,"of":[1,"x",null]}', "1e400", '{"__proto__":1}', ""], (text) => {
  const read = storedJson(text);
  if (Object.keys(Object.prototype).length > 0) throw new Error("every object has a new property");
  return read === undefined ? "refused" : "taken";
});

const queue = "one";
const emptyServer = answering({ line: [0, 0, []], page: [[0, []]], HMGET: [] });

/** Cursors come back from people and programs: whatever they are, there is a page. */
const cursors = textTarget(
  "cursors",
  ["17 id-1", "1700000000 id-1", "inf id", "-inf ", "5", "1.5 \u00ff"],
  async (text) => {
    const backwards = text.length % 2 === 0;
    for (const state of ["pending", "retry"] as const)
      await list(emptyServer, { queue, state }, { limit: 5, cursor: text, backwards });
    const ids = ["a", "b", "c"];
    const page = await list(emptyServer, { queue, ids }, { limit: 2, cursor: text });
    if (page.items.length > 2) throw new Error("more than were asked for");
    const { rank, id } = placeOf(text, "first");
    if (!Number.isSafeInteger(rank) || typeof id !== "string") throw new Error(`the place ${rank} ${id}`);
    return text.includes(" ") ? "taken" : "refused";
  },
);

const payload: Target = {
  name: "JSON payload",
  seeds: [
    '{"a":[1,2,{"b":"c"}]}',
    '{"__proto__":{"x":1}}',
    '{"constructor":{"prototype":{}}}',
    '"\\u005f\\u005fproto__"',
    "",
  ].map((seed) => Buffer.from(seed)),
  // Nested far deeper than the stack is, now and then.
  input: (mutator) =>
    mutator.below(2_000) === 0
      ? Buffer.from(`${'{"constructor":['.repeat(8_000)}${"]}".repeat(8_000)}`)
      : mutator.next(),
  show: (bytes) => bytes.subarray(0, 2_000).toString("hex"),
  try(bytes) {
    const verdict = orBroken(() => Object.assign({}, json.decode(bytes)));
    if (Object.keys(Object.prototype).length > 0) throw new Error("every object has a new property");
    return verdict;
  },
};

/** Whatever error it is, a worker makes PAYLOAD_INVALID of it (core/payload.ts). */
function orBroken(work: () => unknown): Verdict {
  try {
    work();
    return "taken";
  } catch {
    return "refused";
  }
}

export const textTargets = [url, duration, names, failures, progress, cursors, payload];
