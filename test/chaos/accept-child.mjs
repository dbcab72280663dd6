/** Enqueues until it is killed, and writes the id of each task that was accepted on stdout, synchronously. */
import { writeSync } from "node:fs";
import { Client, connect, defineTask } from "../../dist/esm/index.js";

const [url, accept, directory] = process.argv.slice(2);
const log = { debug() {}, info() {}, warn() {}, error() {} };
const broker = connect(url, { log, ...(directory === undefined ? {} : { spool: directory }) });
const client = new Client(broker, { accept });
const accepted = defineTask("accepted");

async function lane() {
  for (;;) {
    const { id } = await client.enqueue(accepted({ n: 1 }));
    writeSync(1, `${id}\n`);
  }
}
await Promise.all([lane(), lane(), lane(), lane()]);
