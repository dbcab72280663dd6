import type { Broker } from "../../src/broker/broker.js";
import type { Database } from "../../src/embedded/driver.js";
import { seeded } from "../support/seeded.js";
import { Mix } from "./mix.js";
import { healthyIn, isHealthy, unfinished } from "./healthy.js";
import { OddRows, tables, write } from "./rows.js";
import { raw } from "./snapshot.js";

interface Kept {
  readonly id: string;
  readonly state: string;
}

/**
 * One file with hostile rows, `database` being another program's connection to it: what healthy tasks run beside them, and
 * what must hold afterwards. The answer is how many tasks were completed.
 * @throws with the seed and all that is wrong
 */
export async function besiegeRows(database: Database, broker: Broker, seed: number): Promise<number> {
  const random = seeded(seed);
  const nowMs = Math.floor(Date.now() / 1_000) * 1_000;
  const queue = "bad";
  const queues = [queue, "good"];
  for (const table of tables) database.exec(`DELETE FROM ${table}`);
  await broker.enqueue(queues.flatMap(healthyIn), nowMs);
  const rows = new OddRows(random, queue, nowMs).make();
  write(database, rows);
  const ids = rows.flatMap(([table, { id }]) => (table === "task" ? [String(id)] : []));
  const estate = {
    queue,
    ids,
    entriesOf: async (state: string) =>
      all(database, queue)
        .filter((one) => one.state === state)
        .map(({ id }) => raw(id)),
  };

  const mix = new Mix(broker, random, queues, nowMs, (_, id) => isHealthy(id), estate);
  try {
    await mix.rounds(3);
    await mix.untilQuiet();
    await broker.workers(nowMs);
    const wrong = [...lost(mix, database, queue, rows), ...held(database, queue), ...unfinished(mix, queues)];
    if (wrong.length > 0) throw new Error(wrong.join("\n"));
    await dropped(broker, database, queue, nowMs);
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  if (mix.calls.problems.size > 0) throw new Error(`seed ${seed}: ${[...mix.calls.problems].join("; ")}`);
  return mix.completed.size;
}

const all = (database: Database, queue: string) =>
  database.prepare("SELECT id, state FROM task WHERE queue = ?").all(queue) as Kept[];

/** What was there ran, was deleted, had been completed before, or is there. */
function lost(mix: Mix, database: Database, queue: string, rows: ReturnType<OddRows["make"]>): string[] {
  const left = new Set(all(database, queue).map(({ id }) => id));
  return (
    rows
      .filter(([table, { state }]) => table === "task" && state !== "completed")
      .map(([, { id }]) => String(id))
      // Called otherwise as soon as it is to be moved.
      .filter((id) => !id.startsWith("nul "))
      .filter((id) => !left.has(id) && !mix.completed.has(`${queue} ${id}`) && !mix.operator.deleted.has(raw(id)))
      .map((id) => `lost: ${id.slice(0, 40)}`)
  );
}

/** Nobody runs anything any more, so nothing is held. A pending task with a negative number of crashes is in no line. */
function held(database: Database, queue: string): string[] {
  const stuck =
    "SELECT id, state FROM task WHERE queue = ? AND (state = 'active' OR (state = 'pending' AND crashes >= 0))";
  return (database.prepare(stuck).all(queue) as Kept[]).map(({ id, state }) => `${id.slice(0, 40)} is still ${state}`);
}

async function dropped(broker: Broker, database: Database, queue: string, nowMs: number): Promise<void> {
  const by = { actor: "operator", reason: "", requestId: "drop" };
  for (let n = 0; ; n += 1) {
    const receipt = await broker.dropQueue(queue, { force: true, limit: 5 }, by, nowMs);
    if (receipt === "dropped") break;
    if (receipt !== "more" || n > 100) throw new Error(`the drop answers ${receipt}`);
  }
  if (all(database, queue).length > 0) throw new Error("there are tasks after the drop");
}
