import { maxCrashes, repeatHorizonMs } from "../../broker/broker.js";
import {
  type ChooseReceipt,
  type Choosing,
  type Chosen,
  type DeadMove,
  type DeadMoveReceipt,
  type DeadMoving,
  maxRedriveCauses,
  type NotMovable,
  type RedriveCauses,
  type RedriveEnd,
  redriveEnds,
  type RedriveNote,
  type RedrivenPage,
  type RedrivenTask,
  type RedriveStand,
  type StandAsking,
} from "../../broker/redriving.js";
import type { Act } from "../../broker/roles.js";
import { ceilToS } from "../../core/duration.js";
import type { Page } from "../../core/info.js";
import { countOf, listOf, numberIn, textIn, throwProblems, timeOf, unreadable } from "../answers.js";
import { batches } from "../batches.js";
import { bucketMs } from "../done-ids.js";
import { keysOf, redriveAwaitedKey, redriveCountsKey, redriveKey, redriveLeftKey } from "../keys.js";
import { type Command, LinkError, type RedisLink, type Reply, type ScriptCall } from "../link.js";
import { deadChoose, deadMove, deadNote } from "../scripts.gen.js";

const notMovable = {
  n: "notFound",
  w: "notDead",
  o: "atMostOnce",
  r: "redriving",
  b: "bound",
} satisfies Record<string, NotMovable>;

export async function chooseDead(
  link: RedisLink,
  redrive: string,
  queue: string,
  tasks: readonly Chosen[],
  { dry, mayOnce, mostRedrives }: Choosing,
): Promise<ChooseReceipt[]> {
  const head = { redrive, dry: dry ? 1 : 0, mayOnce: mayOnce ? 1 : 0, most: mostRedrives };
  const calls = [...batches(tasks, ({ id }) => id.length)].map((some) =>
    deadChoose(
      keysOf(queue),
      head,
      some.map(({ id, atMs }) => ({ id, atS: ceilToS(atMs) })),
    ),
  );
  return answersOf(link.label, await run(link, calls), tasks.length, { "+": "chosen", ...notMovable });
}

export async function moveDead(
  link: RedisLink,
  redrive: string,
  queue: string,
  moves: readonly DeadMove[],
  { to, dueMs = 0, attempts, mostRedrives, lookAtMs, verb }: DeadMoving,
  by: Act,
  nowMs: number,
): Promise<DeadMoveReceipt[]> {
  const head = {
    nowMs,
    nowNs: `${nowMs}000000`,
    redrive,
    to,
    dueS: ceilToS(dueMs),
    crashesLeft: Math.max(0, maxCrashes - attempts),
    lookMs: lookAtMs,
    most: mostRedrives,
    horizonMs: repeatHorizonMs,
    bucketMs,
    actor: by.actor,
    reason: by.reason,
    request: by.requestId,
    verb,
  };
  const size = ({ id, expected, message, mark }: DeadMove) =>
    id.length + expected.length + message.length + mark.length;
  const calls = [...batches(moves, size)].map((some) => deadMove(keysOf(queue), head, some));
  const known = { "+": "moved", c: "changed", d: "done", ...notMovable } as const;
  return answersOf(link.label, await run(link, calls), moves.length, known);
}

export async function noteRedriven(
  link: RedisLink,
  redrive: string,
  queue: string,
  notes: readonly RedriveNote[],
  round: number,
): Promise<void> {
  const rows = notes.map(({ id, became, mark, cause, lookAtMs = 0, fix }) => ({
    id,
    became,
    mark,
    cause,
    lookMs: lookAtMs,
    fix: fix?.untilMs !== undefined ? "expire" : fix?.message !== undefined ? "restore" : "",
    untilS: ceilToS(fix?.untilMs ?? 0),
    expected: fix?.expected ?? "",
    message: fix?.message ?? "",
  }));
  const calls = [...batches(rows, ({ expected, message }) => expected.length + message.length + 512)].map((some) =>
    deadNote(keysOf(queue), { redrive, round, maxCauses: maxRedriveCauses }, some),
  );
  await run(link, calls);
}

/** Two trips: what is next, and what is known of what is to be looked at. */
export async function redriveStands(
  link: RedisLink,
  redrive: string,
  queues: readonly string[],
  { limit, round }: StandAsking,
  nowMs: number,
): Promise<RedriveStand[]> {
  const keys = queues.map((queue) => redriveKeys(queue, redrive));
  const replies = await run(
    link,
    keys.flatMap(({ left, awaited, counts }) => [
      { name: "ZRANGE", args: [left, 0, limit - 1, "WITHSCORES"] },
      { name: "ZRANGE", args: [awaited, "-inf", nowMs, "BYSCORE", "LIMIT", 0, limit] },
      { name: "ZCARD", args: [left] },
      { name: "ZCARD", args: [awaited] },
      { name: "HGETALL", args: [counts] },
    ]),
  );
  const of = (n: number, which: number) => replies[n * 5 + which];
  const due = keys.map((_, n) => listOf(link.label, of(n, 1)).map(String));
  const looked = keys.flatMap(({ marks }, n) => (due[n]!.length === 0 ? [] : [{ marks, ids: due[n]! }]));
  const stored = await run(
    link,
    looked.map(({ marks, ids }) => ({ name: "HMGET", args: [marks, ...ids] })),
  );
  let next = 0;
  return keys.map((_, n): RedriveStand => {
    const scored = listOf(link.label, of(n, 0)).map(String);
    const texts = due[n]!.length === 0 ? [] : listOf(link.label, stored[next++]);
    const fields = fieldsOf(listOf(link.label, of(n, 4)).map(String));
    return {
      left: scored.flatMap((id, at) => (at % 2 === 0 ? [{ id, atMs: timeOf(scored[at + 1] ?? "") }] : [])),
      due: due[n]!.map((id, at) => ({ id, mark: markOf(texts[at]).mark })),
      counts: {
        left: numberIn(link.label, of(n, 2)),
        waiting: numberIn(link.label, of(n, 3)),
        ...(Object.fromEntries(redriveEnds.map((end) => [end, countOf(fields.get(end))])) as Record<
          RedriveEnd,
          number
        >),
      },
      causes: countOf(fields.get("round")) === round ? causesIn(fields) : {},
    };
  });
}

const fieldsOf = (texts: readonly string[]) =>
  new Map(texts.flatMap((name, n) => (n % 2 === 0 ? [[name, texts[n + 1]] as const] : [])));

const causesIn = (fields: ReadonlyMap<string, string | undefined>): RedriveCauses =>
  Object.fromEntries(
    [...fields].flatMap(([field, ended]) => {
      const cause = field.slice("ended:".length);
      if (!field.startsWith("ended:")) return [];
      return [[cause, { ended: countOf(ended), failed: countOf(fields.get(`failed:${cause}`)) }]];
    }),
  );

export async function endRedrive(
  link: RedisLink,
  redrive: string,
  queue: string,
  nowMs: number,
  keepMs: number,
): Promise<void> {
  const keys = redriveKeys(queue, redrive);
  await run(link, [
    { name: "HSET", args: [keys.counts, "ended", nowMs] },
    ...Object.values(keys).map((key) => ({ name: "PEXPIRE", args: [key, keepMs] })),
  ]);
}

export async function redrivenTasks(
  link: RedisLink,
  redrive: string,
  queue: string,
  { limit, cursor = "0" }: RedrivenPage,
): Promise<Page<RedrivenTask>> {
  const [reply] = await run(link, [
    { name: "HSCAN", args: [redriveKeys(queue, redrive).marks, cursor, "COUNT", limit] },
  ]);
  const [next, found] = listOf(link.label, reply);
  const texts = listOf(link.label, found).map(String);
  const items = texts.flatMap((id, n) => (n % 2 === 0 ? [{ id, ...markOf(texts[n + 1] ?? "") }] : []));
  return { items, next: textIn(link.label, next) === "0" ? undefined : String(next) };
}

const redriveKeys = (queue: string, redrive: string) => ({
  marks: redriveKey(queue, redrive),
  left: redriveLeftKey(queue, redrive),
  awaited: redriveAwaitedKey(queue, redrive),
  counts: redriveCountsKey(queue, redrive),
});

const ends: readonly string[] = redriveEnds;

/** "word mark", as the scripts write it; what anybody else wrote there is something that waits, of which nothing is known. */
function markOf(stored: unknown): Pick<RedrivenTask, "became" | "mark"> {
  const text = String(stored ?? "");
  const gap = text.indexOf(" ");
  const word = text.slice(0, gap);
  return { became: ends.includes(word) ? (word as RedriveEnd) : "waiting", mark: gap < 0 ? "" : text.slice(gap + 1) };
}

/** @throws what one of the calls came to */
async function run(link: RedisLink, calls: readonly (ScriptCall | Command)[]): Promise<Reply[]> {
  const replies = calls.length === 0 ? [] : await link.run(calls);
  for (const reply of replies) if (reply instanceof LinkError) throw reply.toError(link.label);
  throwProblems(link.label, replies.filter((reply, n) => Buffer.isBuffer(reply) && "script" in calls[n]!).map(String));
  return replies;
}

function answersOf<S extends string>(
  broker: string,
  replies: readonly Reply[],
  count: number,
  known: Readonly<Record<string, S>>,
): { status: S | "conflict"; holder?: string }[] {
  const words = replies.flatMap((reply) => listOf(broker, reply)).map(String);
  if (words.length !== count) throw unreadable(broker);
  return words.map((word) => {
    if (word.startsWith("u")) return { status: "conflict", holder: word.slice(1) };
    if (!Object.hasOwn(known, word)) throw unreadable(broker);
    return { status: known[word]! };
  });
}
