/** Relays an outbox until it is killed; says so with each batch that storage has taken and the outbox still holds. */
import { setTimeout as sleep } from "node:timers/promises";
import { relay } from "../../examples/outbox/outbox.mjs";
import { postgresOutbox } from "../../examples/outbox/postgres-outbox.mjs";
import { sqliteOutbox } from "../../examples/outbox/sqlite-outbox.mjs";
import { Client, connect, defineTask } from "../../dist/esm/index.js";
import { connectPostgres } from "../support/postgres-client.mjs";

const [database, place, url] = process.argv.slice(2);

async function openOutbox() {
  if (database === "postgres") return postgresOutbox(await connectPostgres(Number(place)));
  const { DatabaseSync } = process.getBuiltinModule?.("node:sqlite") ?? (await import("@photostructure/sqlite"));
  const file = new DatabaseSync(place);
  file.exec("PRAGMA busy_timeout = 5000");
  return sqliteOutbox(file);
}

const outbox = await openOutbox();
/** Few rows at a time and a while between the two steps, so that many kills fall in between. */
const slow = {
  ...outbox,
  next: () => outbox.next(5),
  async remove(ids) {
    process.send(ids.length);
    await sleep(5);
    await outbox.remove(ids);
  },
};
const never = new AbortController().signal;
await relay(slow, new Client(connect(url)), [defineTask("ship")], { signal: never, everyMs: 10 });
