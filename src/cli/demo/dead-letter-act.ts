import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Broker } from "../../index.js";
import { DeadLetters, type FailureGroup } from "../../deadletter/index.js";
import { count } from "../../core/counting.js";
import { pause } from "../../core/loop.js";
import { columns, endOf } from "../terminal.js";
import type { DeadLetter, DeadLetterReport } from "./demo-report.js";
import { demoQueues, demoWorker } from "./tasks.js";

const queues = Object.keys(demoQueues);
const by = { reason: "the demo shows how" };
/** These names stand for files that somebody has mended since. */
const mended: Readonly<Record<string, (text: string) => string>> = {
  "bad-files/order-cut-off.json": (text) => `${text.trimEnd().replace(/,$/, "")}\n  ]\n}\n`,
  "bad-files/prices-unquoted.json": (text) => text.replaceAll(/\bA-\d/g, (sku) => `"${sku}"`),
};
/** A link that leads nowhere: its task is to index another file. */
const dangling = "bad-files/latest-backup.txt";
const instead = "bad-files/order-cut-off.json";
const patienceMs = 30_000;

/** What a team does with dead letters: sees them by cause, mends one's payload, and a cause; then runs again what it stopped. */
export async function deadLetterAct(
  broker: Broker,
  root: string,
  dead: readonly DeadLetter[],
): Promise<DeadLetterReport> {
  const letters = new DeadLetters(broker);
  const { groups } = await letters.groups({ queues });
  for (const [path, mend] of Object.entries(mended)) {
    await writeFile(join(root, path), mend(await readFile(join(root, path), "utf8")));
  }
  const worker = demoWorker(broker, { concurrency: 10 });
  await worker.start();
  try {
    return {
      groups: groups.map(({ fingerprint, count: tasks, sample }) => ({
        fingerprint,
        count: tasks,
        message: sample?.message ?? "",
      })),
      edited: await edit(letters, broker, root, dead),
      healed: await heal(letters, root, dead, groups),
    };
  } finally {
    await worker.stop();
  }
}

async function edit(
  letters: DeadLetters,
  broker: Broker,
  root: string,
  dead: readonly DeadLetter[],
): Promise<DeadLetterReport["edited"]> {
  const letter = dead.find(({ path }) => path === dangling);
  if (letter === undefined) return null;
  const payload = JSON.stringify({ root, path: instead });
  const copied = await letters.copy(letter.queue, letter.id, { ...by, payload });
  if (copied.status !== "copied") return null;
  const lastMs = performance.now() + patienceMs;
  let state: string | undefined;
  do {
    await pause(50);
    state = (await broker.find([{ queue: copied.queue, id: copied.id }]))[0]?.state;
  } while (state !== "completed" && state !== "archived" && performance.now() < lastMs);
  return { path: letter.path, payload, copy: copied.id, became: state ?? "gone" };
}

/** Of the cause, what was mended: there may be other files like those. */
async function heal(
  letters: DeadLetters,
  root: string,
  dead: readonly DeadLetter[],
  groups: readonly FailureGroup[],
): Promise<DeadLetterReport["healed"]> {
  const bad = dead.find(({ path }) => Object.hasOwn(mended, path));
  const group = groups.find(({ sample }) => sample?.message === bad?.message);
  if (group === undefined) return null;
  const selection = `fp:${group.fingerprint} payload.root:${JSON.stringify(root)}`;
  const { id } = await letters.redrives.start(selection, { ...by, canary: 1, ramp: "0s", rate: 100 });
  const { counts } = await letters.redrives.drive(id, { signal: AbortSignal.timeout(patienceMs) });
  const redriven = Object.values(counts).reduce((sum, tasks) => sum + tasks, 0);
  return { fingerprint: group.fingerprint, redriven, succeeded: counts.succeeded };
}

/** For people. */
export function actLines({ groups, edited, healed }: DeadLetterReport): string[] {
  const all = groups.reduce((sum, group) => sum + group.count, 0);
  const lines = [`${count(all)} dead letters are ${count(groups.length)} failure groups, over all queues.`];
  if (edited !== null)
    lines.push(
      `One was edited and run again as a copy: ${endOf(edited.path, columns() - 8)} now reads ${instead}; it is ${edited.became}.`,
    );
  if (healed !== null)
    lines.push(
      `Files of one group were mended, and a redrive ran their tasks again, one of them first: ${count(healed.succeeded)} of ${count(healed.redriven)} succeeded.`,
    );
  return lines;
}
