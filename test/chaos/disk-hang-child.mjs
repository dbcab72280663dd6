/**
 * A producer whose spool's disk hangs while the file `sign` is there: fsync does not come back. Prints what callers were told,
 * as JSON. Started with the library that makes it so.
 */
import { rmSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Client, connect, defineTask } from "../../dist/esm/index.js";

const [url, directory, sign] = process.argv.slice(2);
const log = { debug() {}, info() {}, warn() {}, error() {} };
const broker = connect(url, { log, spool: { directory, trustAfter: "1s" } });
const client = new Client(broker, { timeout: "500ms" });
const task = defineTask("task");

/** A call: what its caller was told, and after how long, ms. */
async function call(id, options) {
  const at = performance.now();
  const told = await client.enqueue(task({ n: 1 }, { id, queue: id.slice(0, 1) }), options).then(
    ({ status }) => ({ status }),
    ({ code, data }) => ({ code, outcome: data.outcome }),
  );
  return { ...told, ms: performance.now() - at };
}
const numbers = (count) => Array.from({ length: count }, (_, n) => n);
const spooled = { accept: "spool" };

// To open the spool, and to connect, takes a busy machine a while.
const patient = { timeout: "20s" };
const before = await Promise.all([call("a-before", { ...spooled, ...patient }), call("b-before", patient)]);
const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();
writeFileSync(sign, "");
const [hung, others] = await Promise.all([
  Promise.all(numbers(20).map((n) => call(`a-${n}`, spooled))),
  (async () => {
    const told = [];
    for (const n of numbers(20)) told.push(await call(`b-${n}`));
    return told;
  })(),
]);
// Storage is well; but what the disk has may be older, and goes before it.
const behind = await call("a-behind");
delay.disable();
rmSync(sign);
const again = [];
for (const end = performance.now() + 20_000; again.at(-1)?.status === undefined && performance.now() < end;)
  again.push(await call("a-0", spooled));
const after = await call("a-after", spooled);
while ((await broker.spool.stats()).tasks > 0) await new Promise((resolve) => setTimeout(resolve, 50));
await broker.close();
process.stdout.write(JSON.stringify({ before, hung, others, behind, again, after, longestDelayMs: delay.max / 1e6 }));
