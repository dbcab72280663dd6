import type { TaskRef } from "../../broker/broker.js";
import type { Act } from "../../broker/roles.js";
import type { AdoptReceipt, StoredLetter } from "../../broker/stored-letter.js";
import { decodeMessage } from "../../core/codec.js";
import { floorToS } from "../../core/duration.js";
import { readable } from "../../core/protobuf.js";
import { timeOf } from "../answers.js";
import { batches } from "../batches.js";
import { statisticsOf } from "../exchange.js";
import { keysOf, queuesKey, setsOf, taskKey } from "../keys.js";
import { type Caller, LinkError, type Reply } from "../link.js";
import { packedRows } from "../packed-rows.js";
import { adopt as adoptCall, type AdoptRow } from "../scripts.gen.js";
import { answerParts } from "./by-ids.js";
import { who } from "./trash.js";

/** Of the fields of a task, what says nothing of it elsewhere, or is made anew. */
const left: ReadonlySet<string> = new Set([
  "msg",
  "state",
  "pending_since",
  "unique_key",
  "group",
  "hf_cancel",
  "hf_fp",
  "hf_progress",
  "hf_redrive",
]);

/** All in one trip. */
export async function readLetters(link: Caller, refs: readonly TaskRef[]): Promise<(StoredLetter | undefined)[]> {
  const perTask = setsOf.archived("").length + 1;
  const replies = await link.run(
    refs.flatMap(({ queue, id }) => [
      { name: "HGETALL", args: [taskKey(queue, id)] },
      ...setsOf.archived(queue).map((key) => ({ name: "ZSCORE", args: [key, id] })),
    ]),
  );
  return refs.map((ref, n) => letterOf(link.label, ref, replies.slice(n * perTask, (n + 1) * perTask)));
}

function letterOf(
  broker: string,
  { queue, id }: TaskRef,
  [hash, ...scores]: readonly Reply[],
): StoredLetter | undefined {
  // A refusal is the server's; a wrong type is this key's alone.
  if (hash instanceof LinkError && hash.code !== "WRONGTYPE") throw hash.toError(broker);
  if (!Array.isArray(hash)) return undefined;
  const values = new Map<string, Uint8Array>();
  for (let n = 0; n + 1 < hash.length; n += 2) values.set(String(hash[n]), hash[n + 1] as Buffer);
  const message = values.get("msg");
  const score = scores.find((one) => Buffer.isBuffer(one));
  if (message === undefined || score === undefined || String(values.get("state")) !== "archived") return undefined;
  const fields = new Map(
    Array.from(values).flatMap(([name, value]) =>
      left.has(name) ? [] : [[name.startsWith("hf_") ? name.slice(3) : name, value] as const],
    ),
  );
  return { queue, id, archivedAtMs: timeOf(String(score)), message, fields };
}

interface Row extends AdoptRow {
  readonly id: string;
  readonly message: Uint8Array;
  readonly known: Uint8Array;
  readonly at: number;
}

/** Two trips: the names of their queues, then all of them. */
export async function adoptLetters(
  link: Caller,
  letters: readonly StoredLetter[],
  by: Act,
  nowMs: number,
): Promise<AdoptReceipt[]> {
  if (letters.length === 0) return [];
  const queues = [...new Set(letters.map(({ queue }) => queue))];
  const parts = queues.flatMap((queue) => {
    const rows = letters.flatMap((letter, at) => (letter.queue === queue ? [rowOf(letter, at)] : []));
    return Array.from(
      batches(rows, ({ message, known }) => message.length + known.length),
      (some) => ({ queue, rows: some }),
    );
  });
  const { keep, beforeS } = statisticsOf(nowMs);
  const head = { nowMs, keep, beforeS, ...who(by) };
  // A queue that nobody can see would hold them for nobody.
  const [listed] = await link.run([{ name: "SADD", args: [queuesKey, ...queues] }]);
  if (listed instanceof LinkError) throw listed.toError(link.label);
  const answers = await answerParts(
    link,
    parts.map(({ rows }) => rows.map(({ id }) => id)),
    parts.map(({ queue, rows }) => adoptCall(keysOf(queue), head, rows)),
    { a: "adopted", e: "exists" } as const,
  );
  const receipts = Array.from<AdoptReceipt>({ length: letters.length });
  for (const [n, { at }] of parts.flatMap(({ rows }) => rows).entries()) receipts[at] = answers[n]!;
  return receipts;
}

function rowOf({ id, archivedAtMs, message, fields }: StoredLetter, at: number): Row {
  const named = Array.from(fields, ([name, value]) => ({ name: fieldOf(name), value }));
  return {
    at,
    id: id.toWellFormed(),
    diedS: floorToS(archivedAtMs),
    message,
    lock: readable(decodeMessage, message)?.uniqueKey ?? "",
    known: packedRows(named, ["name", "value"]),
  };
}

const fieldOf = (name: string) => (name === "result" ? name : `hf_${name}`);
