import { parentPort, workerData } from "node:worker_threads";
import { ceilToS } from "../core/duration.js";
import { loop } from "../core/loop.js";
import { HoldfastError } from "../core/errors.js";
import { listOf, throwProblems } from "./answers.js";
import { maxRows } from "./batches.js";
import { keysOf } from "./keys.js";
import type { LinkOptions } from "./redis-url.js";
import { renew as renewCall } from "./scripts.gen.js";
import { StandaloneLink } from "./standalone-link.js";

/** What the thread is started with. */
export interface KeeperStart {
  readonly link: LinkOptions;
  readonly leaseMs: number;
}

/** What the thread tells: leases that are gone, or what kept it from renewing. */
export type KeeperTells =
  | { readonly lost: readonly (readonly [queue: string, id: string, token: string])[] }
  | { readonly broker: string; readonly problem: string };

/** What it is told, as JSON. */
type KeeperHears =
  | ["hold", [queue: string, id: string, token: string, renewUntilMs: number][]]
  | ["drop", [queue: string, id: string, token: string][]];

interface Held {
  readonly queue: string;
  readonly id: string;
  readonly token: string;
  readonly renewUntilMs: number;
}

/** While the server is away it is asked this often: leases that are not renewed in time are lost to others. */
const againMs = 1_000;

const { link: linkOptions, leaseMs } = workerData as KeeperStart;
const port = parentPort!;
const link = new StandaloneLink(linkOptions);
const heldByKey = new Map<string, Held>();
const keyOf = (queue: string, id: string) => `${queue} ${id}`;

port.on("message", (text: string) => {
  const [verb, rows] = JSON.parse(text) as KeeperHears;
  if (verb === "hold") {
    for (const [queue, id, token, renewUntilMs] of rows)
      heldByKey.set(keyOf(queue, id), { queue, id, token, renewUntilMs });
  } else {
    for (const [queue, id, token] of rows) {
      if (heldByKey.get(keyOf(queue, id))?.token === token) heldByKey.delete(keyOf(queue, id));
    }
  }
});

/** Until the thread is ended from outside. */
loop(renewAll, { everyMs: leaseMs / 3, signal: new AbortController().signal, onError: tellProblem }).catch(tellProblem);

async function renewAll(): Promise<number | void> {
  if (heldByKey.size === 0) return;
  try {
    // Connected, and so in step with the server's clock, before it is asked what time it is.
    await link.ping();
    const nowMs = link.clock.nowMs();
    // Past its time a task is not renewed any more: its handler hangs, and another worker may have it.
    for (const [key, { renewUntilMs }] of heldByKey) if (renewUntilMs <= nowMs) heldByKey.delete(key);
    const all = [...heldByKey.values()];
    for (let n = 0; n < all.length; n += maxRows) await renewSome(all.slice(n, n + maxRows), nowMs);
  } catch (error) {
    tellProblem(error);
    return againMs;
  }
}

async function renewSome(leases: readonly Held[], nowMs: number): Promise<void> {
  const queues = [...new Set(leases.map(({ queue }) => queue))];
  const rows = leases.map(({ queue, id, token }) => ({ number: queues.indexOf(queue) + 1, id, held: token }));
  const [reply] = await link.run([renewCall(queues.map(keysOf), { untilS: ceilToS(nowMs + leaseMs) }, rows)]);
  const [receipts, wrong] = listOf(link.label, reply);
  const lost = leases.filter((_, n) => String(receipts)[n] === "l");
  for (const { queue, id, token } of lost) {
    if (heldByKey.get(keyOf(queue, id))?.token === token) heldByKey.delete(keyOf(queue, id));
  }
  if (lost.length > 0) tell({ lost: lost.map(({ queue, id, token }) => [queue, id, token]) });
  throwProblems(link.label, String(wrong) === "" ? [] : [String(wrong)]);
}

function tellProblem(error: unknown): void {
  const problem = HoldfastError.is(error, "BROKER_UNAVAILABLE") ? error.data.problem : String(error);
  tell({ broker: link.label, problem: `leases are not renewed, trying again: ${problem}` });
}

function tell(tells: KeeperTells): void {
  port.postMessage(tells);
}
