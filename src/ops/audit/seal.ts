import type { AuditEntry, AuditStore, ChainEnd, LogPlace, Sealing } from "../../broker/audit.js";
import type { Clock } from "../../core/clock.js";
import { storedJson } from "../../core/stored-json.js";
import type { SealingKey } from "./keys.js";
import {
  type AuditHead,
  type AuditRecord,
  headOf,
  noHash,
  recordIn,
  sealedRecord,
  textOf,
  type Unsigned,
} from "./record.js";

/** What is read of a log, and sealed, in one step. */
const actsPerLog = 100;
const recordsPerStep = 400;
const bytesPerStep = 524_288;
/** Records that stay in storage; what is older is in what was exported. */
const recordsKept = 50_000;
const trimmedAtOnce = 1_000;
/** Nobody's act is longer. */
const longestText = 65_536;

export interface AuditedBroker {
  readonly audit: AuditStore;
  readonly clock: Clock;
}

export interface SealStep {
  /** Acts that were sealed. */
  readonly sealed: number;
  /** What is missing, as it was written down in this step. */
  readonly gaps: readonly string[];
  /** The end of the chain; undefined while there is none, and where another sealer was faster. */
  readonly head: AuditHead | undefined;
  /** There is more to seal now. */
  readonly more: boolean;
}

/**
 * One bounded step of the sealer: chains and signs what was done by hand since the last one, in all queues. Several may
 * try at once: a chain takes what follows its end, and nothing else.
 * @param head as an earlier step answered, or as it was kept elsewhere: a chain that lacks it was cut, which is written down
 */
export async function sealStep({ audit, clock }: AuditedBroker, key: SealingKey, head?: AuditHead): Promise<SealStep> {
  const state = await audit.sealing();
  const places = await placesOf(audit, state);
  const chain = new Chain(state.last, key, clock.nowMs());
  const lost = await lossOf(audit, state, head);
  if (lost !== undefined) chain.tell("loss", "", lost.from, lost.what, lost.count);

  const logs = await audit.logs();
  const read = await audit.read(
    logs.map((log) => ({ log, after: places.get(log)?.id || undefined })),
    actsPerLog,
  );
  const acts = inOrder(read);
  let sealed = 0;
  for (const act of acts) {
    if (chain.full) break;
    chain.act(act, places);
    sealed += 1;
  }
  const before = state.count + chain.records.length - recordsKept > trimmedAtOnce ? chain.nextN - recordsKept : 0;
  if (before > 0) chain.tell("trim", "", "", `records up to ${before - 1} leave storage`, before - 1);

  const last = chain.records.at(-1);
  const more = sealed < acts.length || read.some((some) => some.length === actsPerLog);
  if (last === undefined) return { sealed, gaps: [], head: await headFrom(audit, state.last), more };
  // Also what a sealer that died behind its records could not note any more.
  const noted = new Map(state.places.map((place) => [place.log, place]));
  const changed = [...places.values()].filter(({ log, id, number }) => {
    const old = noted.get(log);
    return old === undefined || old.id !== id || old.number !== number;
  });
  if (!(await audit.seal(chain.records.map(textOf), state.last, changed))) {
    return { sealed: 0, gaps: [], head: undefined, more: true };
  }
  if (before > 0) await audit.trimSealed(before);
  const gaps = chain.records.filter(({ kind }) => kind === "gap" || kind === "loss").map(saidBy);
  return { sealed, gaps, head: headOf(last), more };
}

export const saidBy = ({ log, what }: Pick<AuditRecord, "log" | "what">): string =>
  log === "" ? what : `queue ${JSON.stringify(log)}: ${what}`;

/** Records to be appended, each of which holds the hash of the one before. */
class Chain {
  readonly records: AuditRecord[] = [];
  readonly #key: SealingKey;
  readonly #sealedAt: string;
  #end: ChainEnd;
  #bytes = 0;

  constructor(end: ChainEnd | undefined, key: SealingKey, nowMs: number) {
    this.#end = end ?? { n: 0, hash: noHash };
    this.#key = key;
    this.#sealedAt = new Date(nowMs).toISOString();
  }

  get nextN(): number {
    return this.#end.n + 1;
  }

  get full(): boolean {
    return this.records.length >= recordsPerStep || this.#bytes > bytesPerStep;
  }

  act(act: AuditEntry, places: Map<string, LogPlace>): void {
    const { log, id, number } = act;
    this.#missing(log, nextNumber(places.get(log)), number, id);
    places.set(log, { log, id, number });
    this.#add({
      kind: "act",
      log,
      id,
      number: number ?? null,
      at: isoOf(act.atMs),
      actor: bounded(act.actor),
      reason: bounded(act.reason),
      requestId: bounded(act.requestId),
      verb: bounded(act.verb),
      what: bounded(act.what),
      count: act.count,
    });
    const dropped = log === "" ? droppedIn(act) : undefined;
    if (dropped === undefined) return;
    // Its log is gone with the queue: it begins anew with the next act, if there is one.
    const expected = nextNumber(places.get(dropped.queue));
    // That it is being dropped is an act of its log, too, which may have been sealed, and is not among those counted.
    if (expected !== dropped.acts + 2) this.#missing(dropped.queue, expected, dropped.acts + 1, "");
    places.set(dropped.queue, { log: dropped.queue, id: "", number: undefined });
  }

  tell(kind: "gap" | "loss" | "trim", log: string, id: string, what: string, count: number): void {
    this.#add({ kind, log, id, number: null, at: null, actor: "", reason: "", requestId: "", verb: "", what, count });
  }

  #missing(log: string, expected: number | undefined, number: number | undefined, id: string): void {
    if (expected === undefined || number === undefined || number === expected) return;
    if (number < expected)
      return this.tell("gap", log, id, `the log began anew before act ${expected}: what it held may be missing`, 0);
    const what =
      number - 1 === expected
        ? `act ${expected} was gone before it was sealed`
        : `acts ${expected} to ${number - 1} were gone before they were sealed`;
    this.tell("gap", log, id, what, number - expected);
  }

  #add(record: Omit<Unsigned, "n" | "sealedAt">): void {
    const sealed = sealedRecord({ n: this.nextN, sealedAt: this.#sealedAt, ...record }, this.#end.hash, this.#key);
    this.records.push(sealed);
    this.#bytes += sealed.what.length + sealed.reason.length + 600;
    this.#end = sealed;
  }
}

/** The number that the next act of a log must have; undefined where the last one had none. */
function nextNumber(place: LogPlace | undefined): number | undefined {
  if (place === undefined || place.id === "") return 1;
  return place.number === undefined ? undefined : place.number + 1;
}

/** Each log in its own order, and among logs by time. */
function inOrder(logs: readonly (readonly AuditEntry[])[]): AuditEntry[] {
  const timed = logs.flatMap((acts) => {
    let atMs = 0;
    return acts.map((act) => ({ act, atMs: (atMs = Math.max(atMs, act.atMs)) }));
  });
  return timed.toSorted((a, b) => a.atMs - b.atMs).map(({ act }) => act);
}

/** How far each log is sealed. A sealer that died may have kept records and not the places. */
async function placesOf(audit: AuditStore, { places, head, last }: Sealing): Promise<Map<string, LogPlace>> {
  const known = new Map(places.map((place) => [place.log, place]));
  for (let from = (head?.n ?? 0) + 1; last !== undefined && from <= last.n;) {
    const some = await audit.sealed(from, recordsPerStep);
    if (some.length === 0) break;
    for (const { text } of some) {
      const record = recordIn(text);
      if (record?.kind !== "act") continue;
      known.set(record.log, { log: record.log, id: record.id, number: record.number ?? undefined });
      const dropped = record.log === "" ? droppedIn(record) : undefined;
      if (dropped !== undefined) known.set(dropped.queue, { log: dropped.queue, id: "", number: undefined });
    }
    from = some.at(-1)!.n + 1;
  }
  return known;
}

/** What is gone of the chain that the sealer knows of. */
async function lossOf(audit: AuditStore, state: Sealing, known: ChainEnd | undefined) {
  for (const end of [known, state.head]) {
    if (end === undefined) continue;
    const n = state.last?.n ?? 0;
    const [there] = n < end.n ? [] : await audit.sealed(end.n, 1);
    if (there?.n === end.n && there.hash === end.hash) continue;
    // Trimmed away long ago, not lost.
    if (there !== undefined && there.n > end.n) continue;
    const what =
      n < end.n ? `the chain ended at record ${n}, and had ended at ${end.n}` : `record ${end.n} was another one`;
    return { from: end.hash, what, count: Math.max(0, end.n - n) };
  }
  return undefined;
}

async function headFrom(audit: AuditStore, last: ChainEnd | undefined): Promise<AuditHead | undefined> {
  const [text] = last === undefined ? [] : await audit.sealed(last.n, 1);
  const record = text && recordIn(text.text);
  return record && headOf(record);
}

/** See droppedAct in broker/audit.ts. */
function droppedIn({ verb, what }: Pick<AuditEntry, "verb" | "what">) {
  const value = verb === "drop" ? (storedJson(what) as { queue?: unknown; acts?: unknown } | undefined) : undefined;
  const { queue, acts } = value ?? {};
  return typeof queue === "string" && Number.isSafeInteger(acts) ? { queue, acts: acts as number } : undefined;
}

const bounded = (text: string) => text.slice(0, longestText).toWellFormed();

function isoOf(ms: number): string | null {
  return ms > 0 && ms <= 8.64e15 ? new Date(ms).toISOString() : null;
}
