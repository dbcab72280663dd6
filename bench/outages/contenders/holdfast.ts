import { subscribe } from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client, connect, defineTask, type BrokerEvent, Worker } from "../../../dist/esm/index.js";
import { callerPatienceMs, type Open } from "../contender.js";

const task = defineTask<{ n: number; ballast: string }>("outage");
const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../../package.json"), "utf8")) as {
  version: string;
};

/** As it comes, or with everything accepted into a spool first: `holdfast:spool`. */
export const open: Open = ({ url, folder, variant, tell }) => {
  const spooling = variant === "spool";
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const broker = connect(url, spooling ? { spool: join(folder, "spool"), log } : { log });
  const client = new Client(broker, { timeout: `${callerPatienceMs}ms`, accept: spooling ? "spool" : "redis" });
  let worker: Worker | undefined;
  subscribe("holdfast.broker", (message) => {
    const { event } = message as BrokerEvent;
    if (!["up", "down", "breaker", "promoted", "pruned"].includes(event)) tell(event);
  });
  return {
    version,
    async enqueue(n, { bytes = 0, inMs, withId }) {
      const request = task(
        { n, ballast: "x".repeat(bytes) },
        { ...(inMs === undefined ? {} : { processIn: `${inMs}ms` }), ...(withId === true ? { id: `task-${n}` } : {}) },
      );
      return (await client.enqueue(request)).status;
    },
    async work(concurrency, handler) {
      worker = new Worker(broker, { concurrency, log }).handle(task, ({ n }) => handler(n));
      await worker.start();
    },
    repeat: async () => false,
    async left() {
      const [queue] = await broker.queues(broker.clock.nowMs());
      if (queue === undefined) return { waiting: 0, dead: 0 };
      const { pending, active, scheduled, retry, archived } = queue.counts;
      return { waiting: pending + active + scheduled + retry, dead: archived };
    },
    stop: async () => worker?.stop(),
  };
};
