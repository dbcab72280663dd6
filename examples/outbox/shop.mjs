/** A shop that never takes an order without telling the warehouse, nor tells it of one that it did not take. */
import { Client, connect, defineTask, Worker } from "holdfast";
import { relay } from "./outbox.mjs";
import { sqliteOutbox, table } from "./sqlite-outbox.mjs";

const { DatabaseSync } = process.getBuiltinModule?.("node:sqlite") ?? (await import("@photostructure/sqlite"));
const database = new DatabaseSync(":memory:");
database.exec("CREATE TABLE orders (id TEXT PRIMARY KEY, item TEXT NOT NULL)");
database.exec(table);
const outbox = sqliteOutbox(database);

/** An order is written together with its task, or neither is. */
function order(id, item) {
  database.exec("BEGIN IMMEDIATE");
  try {
    outbox.add("ship", { order: id, item });
    database.prepare("INSERT INTO orders (id, item) VALUES (?, ?)").run(id, item);
    database.exec("COMMIT");
  } catch (error) {
    database.exec("ROLLBACK");
    console.log(`order ${id} was not taken: ${error.message}`);
  }
}

order("1", "kettle");
order("2", "lamp");
order("2", "a second lamp under the same number");

const ship = defineTask("ship");
const broker = connect("memory:");
const stop = new AbortController();
const relaying = relay(outbox, new Client(broker), [ship], { signal: stop.signal });

let shipped = 0;
const worker = new Worker(broker, { concurrency: 1 }).handle(ship, ({ order: id, item }) => {
  console.log(`order ${id} is shipped: ${item}`);
  shipped += 1;
});
await worker.start();
while (shipped < 2) await new Promise((resolve) => setTimeout(resolve, 10));

await worker.stop();
stop.abort();
await relaying;
await broker.close();
