import { parentPort, workerData } from "node:worker_threads";
import type { Cancellation } from "../broker/broker.js";
import { ceilToS } from "../core/duration.js";
import { groupedBy } from "../core/grouped-by.js";
import { loop, pause } from "../core/loop.js";
import { HoldfastError } from "../core/errors.js";
import { portions } from "../core/portions.js";
import { isUnreadable, listOf, textIn, throwProblems, unreadable } from "./answers.js";
import { Unanswered } from "./asked.js";
import { maxRows } from "./batches.js";
import { HoldLog } from "./hold-log.js";
import { keysOf } from "./keys.js";
import { linkOptions } from "./link-options.js";
import { openLink } from "./open-link.js";
import { renew as renewCall } from "./scripts.gen.js";
import { received, type SentAnswer, type SentSettings } from "./sent-settings.js";

/** What the thread is started with. */
export interface KeeperStart {
  readonly link: SentSettings;
  readonly leaseMs: number;
  readonly log: SharedArrayBuffer;
}

/**
 * What the thread tells: leases that are gone or whose tasks are to be aborted, what kept it from renewing, or which of
 * its settings it asks for.
 */
export type KeeperTells =
  | { readonly lost: readonly ToldLease[]; readonly cancelled: readonly (readonly [...ToldLease, Cancellation])[] }
  | { readonly broker: string; readonly problem: string }
  | { readonly ask: string };

type ToldLease = readonly [queue: string, id: string, token: string];

/** What it is told, as JSON: tokens of which nothing is held any more, then leases that are held; or what it asked for. */
export type KeeperHears = { readonly drop: readonly string[]; readonly hold: readonly LeaseGroup[] } | SentAnswer;

/** Leases of one request, of one queue and with the same end. */
export interface LeaseGroup {
  readonly token: string;
  readonly queue: string;
  readonly renewUntilMs: number;
  readonly ids: string[];
}

interface Held {
  readonly group: LeaseGroup;
  readonly id: string;
}

/** While the server is away it is asked this often: leases that are not renewed in time are lost to others. */
const againMs = 250;
/** A main thread that leaves the log as it is for so long, twice what it needs to tell, is blocked. */
const blockedMs = 500;

const { link: settings, leaseMs, log: shared } = workerData as KeeperStart;
const log = new HoldLog(shared);
const port = parentPort!;
/** Those who wait for an answer, by what they asked for. */
const asking = new Map<string, (answer: SentAnswer) => void>();
const link = openLink(linkOptions(received(settings, ask), "keeper"));
const groupsByToken = new Map<string, LeaseGroup[]>();
/** Until the thread is ended from outside. */
const { signal } = new AbortController();

port.on("message", (text: string) => {
  const told = JSON.parse(text) as KeeperHears;
  if ("asked" in told) {
    asking.get(told.asked)?.(told);
    return;
  }
  const { drop, hold } = told;
  for (const token of drop) groupsByToken.delete(token);
  for (const group of hold) {
    const groups = groupsByToken.get(group.token);
    if (groups === undefined) groupsByToken.set(group.token, [group]);
    else groups.push(group);
  }
});

loop(renewAll, { everyMs: leaseMs / 3, signal, onError: tellProblem }).catch(tellProblem);

/** A main thread that is blocked does not answer: then the last known one has to do. */
async function ask(name: string): Promise<unknown> {
  const answer = await new Promise<SentAnswer>((resolve) => {
    asking.set(name, resolve);
    tell({ ask: name });
  });
  if ("problem" in answer) throw new Unanswered(answer.problem);
  return answer.value;
}

async function renewAll(): Promise<number | void> {
  // The log goes last: of a lease that is held anew it has the present bound.
  const all = heldOf([...[...groupsByToken.values()].flat(), ...(await untold())]);
  if (all.length === 0) return;
  try {
    // Connected, and so in step with the server's clock, before it is asked what time it is.
    await link.ping().catch((error: unknown) => {
      // In a Cluster that is one node of several: the leases on the others are renewed by the clock as it is.
      if (!link.oneSlotPerCall) throw error;
      tellProblem(error);
    });
    const nowMs = link.clock.nowMs();
    // Past its time a task is not renewed any more: its handler hangs, and another worker may have it.
    const due = all.filter(({ group }) => group.renewUntilMs > nowMs);
    const problems = (await Promise.all(partsOf(due).map((part) => renewSome(part, nowMs)))).flat();
    throwProblems(link.label, problems);
  } catch (error) {
    if (isUnreadable(error)) link.distrust();
    tellProblem(error);
    return againMs;
  }
}

/** What stands in the log alone: a main thread that runs soon tells it, or has dropped it, and clears the log. */
async function untold(): Promise<LeaseGroup[]> {
  const { changes } = log;
  const lines = log.read();
  if (lines.length === 0) return [];
  await pause(blockedMs, signal);
  return log.changes === changes ? lines.flatMap((line) => JSON.parse(line) as LeaseGroup[]) : [];
}

/** Each lease once, as it was told last. */
function heldOf(groups: readonly LeaseGroup[]): Held[] {
  const held = new Map<string, Held>();
  for (const group of groups)
    for (const id of group.ids) held.set(`${group.token} ${group.queue} ${id}`, { group, id });
  return [...held.values()];
}

/** As many as one call takes; where a call takes one queue only, each queue by itself. */
function partsOf(leases: readonly Held[]): Held[][] {
  const apart = groupedBy(leases, ({ group }) => (link.oneSlotPerCall ? group.queue : ""));
  return [...apart.values()].flatMap((all) => portions(all, maxRows));
}

/** Answers what keeps it from renewing some of them. */
async function renewSome(leases: readonly Held[], nowMs: number): Promise<string[]> {
  const queues = [...new Set(leases.map(({ group }) => group.queue))];
  const rows = leases.map(({ group, id }) => ({ number: queues.indexOf(group.queue) + 1, id, held: group.token }));
  const [reply] = await link.run([renewCall(queues.map(keysOf), { untilS: ceilToS(nowMs + leaseMs) }, rows)]);
  const [receipts, wrong] = listOf(link.label, reply);
  const letters = textIn(link.label, receipts);
  if (letters.length !== leases.length) throw unreadable(link.label);
  const lost = leases.filter((_, n) => letters[n] === "l");
  for (const { group, id } of lost) {
    const at = group.ids.indexOf(id);
    if (at >= 0) group.ids.splice(at, 1);
  }
  const cancelled = leases.flatMap((held, n) => {
    const how = cancellationOf[letters[n]!];
    return how === undefined ? [] : [[...toldLease(held), how] as const];
  });
  if (lost.length + cancelled.length > 0) tell({ lost: lost.map(toldLease), cancelled });
  return String(wrong) === "" ? [] : [String(wrong)];
}

const cancellationOf: Readonly<Record<string, Cancellation>> = { t: "retry", a: "archive" };
const toldLease = ({ group, id }: Held): ToldLease => [group.queue, id, group.token];

function tellProblem(error: unknown): void {
  const problem = HoldfastError.is(error, "BROKER_UNAVAILABLE") ? error.data.problem : String(error);
  tell({ broker: link.label, problem: `leases are not renewed, trying again: ${problem}` });
}

function tell(tells: KeeperTells): void {
  port.postMessage(tells);
}
