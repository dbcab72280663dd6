/**
 * Drives a redrive until it is over, or until its n-th write: there it kills itself, before it sends it, after it has sent it,
 * or after the answer. So it does at the m-th write of those that end the redrive, and says "finish" there. Arguments: a URL,
 * the redrive's id, n (0: never), when, and m.
 */
import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { DeadLetters } from "../../dist/esm/deadletter/index.js";
import { connect } from "../../dist/esm/index.js";

const [url, id, nth, when, finish] = process.argv.slice(2);
const writes = new Set(["chooseDead", "moveDead", "noteRedriven", "endRedrive", "writeDocuments"]);
const log = { debug() {}, info() {}, warn() {}, error() {} };
const broker = connect(url, { log, timeout: "2s" });
let calls = 0;
let ending = 0;

const die = () => process.kill(process.pid, "SIGKILL");

const deadLetters = new Proxy(broker.deadLetters, {
  get(store, name) {
    const verb = store[name].bind(store);
    if (!writes.has(name)) return verb;
    return async (...args) => {
      calls += 1;
      if (ending > 0 || name === "endRedrive") ending += 1;
      const finishes = ending > 0 && ending === Number(finish);
      const isLast = finishes || calls === Number(nth);
      if (finishes) writeSync(1, "finish");
      if (isLast && when === "before") die();
      const answer = verb(...args);
      // It has left the process by then, and may not have been answered.
      if (isLast && when === "sent") await Promise.race([answer, sleep(1)]).then(die);
      const value = await answer;
      if (isLast) die();
      return value;
    };
  },
});
const redrives = new DeadLetters(
  new Proxy(broker, {
    get(target, name) {
      if (name === "deadLetters") return deadLetters;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  }),
).redrives;

for (;;) {
  try {
    const { phase } = await redrives.drive(id);
    if (phase === "ended") break;
  } catch {
    await sleep(50); // Redis is being restarted: it goes on where it stopped.
  }
}
await broker.close();
