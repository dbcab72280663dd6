/**
 * A transactional outbox: tasks are written to a table, in the transaction of the business they belong to, and a relay
 * brings them from there to Holdfast. A row's id becomes its task's id, so a relay that dies between the two, and begins
 * anew, finds the id taken and knows that the task is there.
 *
 * An outbox is `{ add, next, remove, setAside }`: see sqlite-outbox.mjs and postgres-outbox.mjs.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { HoldfastError } from "holdfast";

/** Rows that travel together. */
const together = 500;

/**
 * Bring what is in the outbox to its queues, in order, again and again until `signal` aborts. Run one relay; two do no
 * harm, but their rows may overtake each other.
 *
 * `keep`: how long a finished task keeps its id, at least. A relay that dies before it has removed a row must be back
 * within that time; else the id may be free again, and the row becomes a second task.
 */
export async function relay(outbox, client, definitions, { signal, everyMs = 200, keep = "1d", log = console }) {
  while (!signal.aborted) {
    try {
      if ((await relayOnce(outbox, client, definitions, keep)) > 0) continue;
    } catch (error) {
      // The database or Redis is away: the rows stay where they are.
      log.warn("the outbox waits:", error.message);
    }
    await sleep(everyMs, undefined, { signal }).catch(() => {});
  }
}

/** How many rows left the outbox, or were set aside. */
export async function relayOnce(outbox, client, definitions, keep = "1d") {
  const rows = await outbox.next(together);
  if (rows.length === 0) return 0;
  const byType = new Map(definitions.map((definition) => [definition.type, definition]));
  const request = ({ id, type, payload }) => byType.get(type)(JSON.parse(payload), { id, retention: keep });

  let moved;
  try {
    const receipts = await client.enqueueAll(rows.map(request));
    moved = rows.filter((_, n) => isThere(receipts[n]));
  } catch (error) {
    if (isAway(error)) throw error;
    // Something is wrong with one of them: they go one by one, and that one is set aside, out of the others' way.
    return oneByOne(outbox, client, rows, request);
  }
  await outbox.remove(moved.map(({ id }) => id));
  return moved.length;
}

async function oneByOne(outbox, client, rows, request) {
  for (const row of rows) {
    try {
      if (isThere(await client.enqueue(request(row)))) await outbox.remove([row.id]);
    } catch (error) {
      if (isAway(error)) throw error;
      await outbox.setAside(row.id, String(error.message));
    }
  }
  return rows.length;
}

/**
 * `idTaken`: an earlier try has put it there, for ids are not used twice. `duplicate`: a unique task of the same meaning is
 * on its way. Not `spooled`: that is one machine's promise, and the row is the better one.
 */
const isThere = ({ status }) => status === "enqueued" || status === "idTaken" || status === "duplicate";

/** Nothing is wrong with the rows: later. */
const isAway = (error) =>
  ["BROKER_UNAVAILABLE", "BROKER_FAILED", "QUEUE_FULL", "ENQUEUE_LIMITED", "CLOSED"].some((code) =>
    HoldfastError.is(error, code),
  );
