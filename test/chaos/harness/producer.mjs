// A producer process of a chaos run: `producer.mjs <options JSON>`. Calls go on at their rate whatever storage does, until
// "stop" comes; then it waits for those under way, empties its spool if it has one, and ends.
import { hash as hashOf } from "node:crypto";
import { subscribe } from "node:diagnostics_channel";
import { setPriority } from "node:os";
import { Client, connect, defineTask, HoldfastError, rawBytes } from "../../../dist/esm/index.js";
import { now, openJournal, tellMemory } from "./journal.mjs";

const options = JSON.parse(process.argv[2]);
const {
  name,
  url,
  journal: file,
  timeoutMs,
  maxRetry,
  most,
  special = 0.35,
  lists = 0.2,
  turnMs = 25,
  burst = 50,
} = options;
let { perSecond } = options;
const journal = openJournal(file, name);
// What goes wrong on purpose is in the journals.
const log = { debug() {}, info() {}, warn() {}, error() {} };
const broker = connect(url, { log, ...options.connect });
const newClient = (to) => new Client(to, { timeout: `${timeoutMs}ms`, ...options.client });
const shared = newClient(broker);
// One that sends once knows nothing of the calls before either.
const clientNow = () => (options.once ? newClient(sendingOnce()) : shared);
const task = defineTask("chaos", { codec: rawBytes, maxRetry });
let made = 0;
let accepted = 0;
let underWay = 0;
let stopping = false;

/** One call. What is to be known of it, `invoke`, is written down before it is made. */
function call(plan, ms = plan === "slow" ? 300 + Math.floor(Math.random() * 1_500) : 0) {
  const k = `${name}-${(made += 1)}`;
  const payload = Buffer.from(`${k}|${plan}|${ms}|${"x".repeat(Math.floor(Math.random() * 300))}`);
  const hash = hashOf("sha1", payload);
  const invoke = { e: "invoke", k, queue: "default", hash, maxRetry, withinMs: timeoutMs };
  const given = {};
  if (plan === "ordered") Object.assign(invoke, { queue: "ordered", ordered: true });
  if (plan === "kept") given.retention = "1h";
  if (plan === "later") {
    given.processIn = `${ms === 0 ? 1 + Math.floor(Math.random() * 3) : ms / 1_000}s`;
    invoke.dueAt = Number(process.hrtime.bigint()) / 1e6 + Number.parseInt(given.processIn, 10) * 1_000;
  }
  given.queue = invoke.queue;
  return { k, invoke, request: task(payload, given) };
}

// One in ten takes long enough to be under way when something happens.
const plans = [
  "flaky",
  "skip",
  "later",
  "later",
  "kept",
  "ordered",
  "ordered",
  "ordered",
  "slow",
  "slow",
  "slow",
  "slow",
];
const chosen = options.ordered === false ? plans.filter((plan) => plan !== "ordered") : plans;
const anyPlan = () => (Math.random() < special ? chosen[Math.floor(Math.random() * chosen.length)] : "plain");

/** Those made in one turn travel together; now and then as one list. */
function turn(count) {
  const calls = Array.from({ length: count }, () => call(anyPlan()));
  journal.say(...calls.map(({ invoke }) => invoke));
  const client = clientNow();
  if (Math.random() < lists) void send(calls, client.enqueueAll(calls.map(({ request }) => request)));
  else
    for (const one of calls)
      void send(
        [one],
        client.enqueue(one.request).then((receipt) => [receipt]),
      );
}

async function send(calls, promise) {
  underWay += calls.length;
  try {
    const receipts = await promise;
    accepted += calls.length;
    journal.say(...calls.map(({ k }, n) => ({ e: "accepted", k, id: receipts[n].id, how: receipts[n].status })));
    journal.sync();
    return receipts.map(({ id }) => id);
  } catch (error) {
    // Only these say for certain that nothing was stored.
    const certain =
      (HoldfastError.is(error, "BROKER_UNAVAILABLE") && error.data.outcome !== "unknown") ||
      HoldfastError.is(error, "SPOOL_FULL");
    const answer = certain ? { e: "rejected", code: error.code } : { e: "unknown" };
    journal.say(...calls.map(({ k }) => ({ ...answer, k })));
    return [];
  } finally {
    underWay -= calls.length;
  }
}

tellMemory(journal);
subscribe("holdfast.broker", ({ event, shard, state }) => {
  if (event === "breaker") journal.say({ e: "breaker", shard, state });
});
if (options.tells) {
  const tell = async () => {
    const spooled = (await broker.spool?.stats().catch(() => undefined))?.tasks ?? 0;
    process.send?.({ made, accepted, spooled });
  };
  const telling = setInterval(() => void tell(), 250);
  process.once("disconnect", () => clearInterval(telling));
}
let owed = 0;
let turnedMs = now();
const ticking = setInterval(() => {
  owed = Math.min(owed + (perSecond * (now() - turnedMs)) / 1_000, burst);
  turnedMs = now();
  const count = Math.min(Math.floor(owed), most - underWay);
  if (count <= 0) return;
  owed -= count;
  turn(count);
}, turnMs);

// Whoever started it is gone.
process.once("disconnect", () => process.exit());
process.on("message", (message) => {
  if (message.do === "pace") perSecond = message.perSecond;
  if (message.do === "enqueue") {
    const calls = Array.from({ length: message.count }, () => call(message.plan, message.ms));
    journal.say(...calls.map(({ invoke }) => invoke));
    const sent = send(calls, clientNow().enqueueAll(calls.map(({ request }) => request)));
    if (message.tells) void sent.then((ids) => process.send({ accepted: ids }));
  }
  if (message.do === "stop" && !stopping) void stop();
});

async function stop() {
  stopping = true;
  clearInterval(ticking);
  while (underWay > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  while ((await broker.spool?.stats())?.tasks > 0) {
    broker.spool.nudge();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await broker.close();
  if (options.tells) process.send({ made, accepted, spooled: 0 });
  process.disconnect();
}

/** What a client without any way to try again would do: what failed once is not sent once more. */
function sendingOnce() {
  const { label, clock } = broker;
  const sent = new WeakSet();
  const refusal = { broker: label, problem: "it was sent once", outcome: "notSent", taskIds: [] };
  return {
    label,
    clock,
    ping: () => broker.ping(),
    enqueue(tasks, nowMs, withinMs) {
      if (tasks.some(({ message, repeat }) => repeat || sent.has(message)))
        return Promise.reject(new HoldfastError("BROKER_UNAVAILABLE", refusal));
      for (const { message } of tasks) sent.add(message);
      return broker.enqueue(tasks, nowMs, withinMs);
    },
  };
}

// The spool's thread has started, and its file is open.
await broker.spool?.stats();
if (options.nice !== undefined) setPriority(options.nice);
process.send("ready");
