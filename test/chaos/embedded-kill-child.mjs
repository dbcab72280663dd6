/**
 * Enqueues and works on one file until it is killed, and writes down on stdout what it was promised: `+ id …` these were
 * taken, `~ id …` these are about to be settled, `- id …` these are settled. Written synchronously, so that nothing
 * written is lost with the process.
 */
import { writeSync } from "node:fs";
import { embeddedBroker } from "../../dist/esm/embedded/index.js";
import { say, taskOf } from "./killed.mjs";

const [file, name] = process.argv.slice(2);
const broker = embeddedBroker({ file });
const queues = ["a", "b"];
let number = 0;

function newTask() {
  number += 1;
  return taskOf(name, number, queues[number % 2], number % 7 === 0 ? 60_000 : 0);
}

async function produce() {
  for (;;) {
    const receipts = await broker.enqueue(Array.from({ length: 1 + (number % 9) }, newTask), broker.clock.nowMs());
    say(
      "+",
      receipts.map(({ id }) => id),
    );
  }
}

/** Settles two of three of what it leases; the rest it holds on to. */
async function work() {
  let settle = [];
  for (;;) {
    say(
      "~",
      settle.map(({ task }) => task.message.id),
    );
    const lease = {
      workerId: name,
      requestId: `${name}-${(number += 1)}`,
      queues,
      limit: 6,
      leaseMs: 5_000,
      suspects: 6,
    };
    const { settled, leased } = await broker.exchange({ settle, lease }, broker.clock.nowMs());
    say(
      "-",
      settle.filter((_, index) => settled[index] === "settled").map(({ task }) => task.message.id),
    );
    settle = leased.filter((_, index) => index % 3 < 2).map((task) => ({ task, outcome: { kind: "completed" } }));
  }
}

writeSync(1, "ready\n");
await Promise.all([produce(), work()]);
