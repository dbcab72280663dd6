import type { EnqueueReceipt, Promotion, ReclaimReceipt, TaskRef } from "../../src/broker/broker.js";
import type { Act } from "../../src/broker/roles.js";
import { encodeMessage } from "../../src/core/codec.js";
import { type Database, loadDriver } from "../../src/embedded/driver.js";
import { type Answer, type Args, EmbeddedStore, type Reply, type Verb } from "../../src/embedded/embedded-store.js";
import type { NewRow } from "../../src/embedded/enqueue.js";
import { pack } from "../../src/embedded/packed.js";
import type { SettleRow } from "../../src/embedded/settle.js";
import { message } from "./builders.js";

/** A store in memory, its verbs with whatever a test does not care about filled in. */

/** Everything is at this second unless a test says otherwise. */
export const t0 = 1_800_000_000_000;

export let database: Database;
export let prepared: Set<string>;
export let store: EmbeddedStore;
let requests = 0;

/** Afresh for each test. */
export async function openStore(): Promise<void> {
  const sqlite = await loadDriver();
  prepared = new Set();
  store = new EmbeddedStore(
    (location) => {
      database = sqlite(location);
      return {
        exec: (sql) => database.exec(sql),
        close: () => database.close(),
        prepare(sql) {
          prepared.add(sql);
          return database.prepare(sql);
        },
      };
    },
    ":memory:",
    "memory:",
  );
}

function value<V extends Verb>(answer: Answer | undefined): Reply<V> {
  if (answer === undefined || "error" in answer) throw answer?.error ?? new Error("no answer");
  return answer.value as Reply<V>;
}

export function ask<V extends Verb>(verb: V, args: Args<V>): Reply<V> {
  return value<V>(store.run([{ verb, args } as never])[0]);
}

export function row(id: string, fields: Partial<NewRow> = {}): NewRow {
  return {
    queue: "default",
    id,
    processAtMs: 0,
    uniqueKey: "",
    uniqueForMs: 0,
    atMostOnce: false,
    repeat: false,
    ...fields,
  };
}

export function enqueue(rows: readonly NewRow[], nowMs = t0): EnqueueReceipt[] {
  const messages = pack(rows.map(({ queue, id, uniqueKey }) => encodeMessage(message({ queue, id, uniqueKey }))));
  return ask("enqueue", { rows, messages, nowMs });
}

export function lease(
  nowMs = t0,
  fields: { limit?: number; suspects?: number; requestId?: string; queues?: string[] } = {},
) {
  const request = {
    workerId: "w",
    requestId: `r${(requests += 1)}`,
    queues: ["default"],
    limit: 100,
    leaseMs: 30_000,
    suspects: 100,
    ...fields,
  };
  const { leased } = ask("exchange", { rows: [], messages: pack([]), lease: request, nowMs });
  return leased.map((task) => ({ ...task, token: request.requestId }));
}

export function settle(
  tasks: readonly (TaskRef & { token: string })[],
  fields: Partial<SettleRow> & Pick<SettleRow, "to">,
  nowMs = t0,
) {
  const rest = { dueMs: 0, failed: false, unstarted: false, uniqueKey: "", failure: undefined, result: undefined };
  const rows = tasks.map(({ queue, id, token }) => ({ ...rest, queue, id, token, ...fields }));
  return ask("exchange", { rows, messages: pack(rows.map(() => undefined)), lease: undefined, nowMs }).settled;
}

export const idsOf = (tasks: readonly { readonly id: string }[]) => tasks.map(({ id }) => id);
export const all = { queues: ["default"], limit: 100 };
export const reclaim = (nowMs: number): ReclaimReceipt[] => ask("reclaim", { ...all, nowMs });
export const promote = (nowMs: number): Promotion => ask("promote", { ...all, nowMs });

export const by: Act = { actor: "ops", reason: "a test", requestId: "r1" };
