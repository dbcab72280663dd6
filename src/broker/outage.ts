/**
 * What a process knows of a time in which storage was away, or lost data. Each process writes its own; together they are
 * the report (inspector/outages.ts). Counts are of tasks.
 */
export interface OutageRecord {
  readonly id: string;
  /** "host:pid" */
  readonly process: string;
  /** Which storage; never holds a password. */
  readonly broker: string;
  /** The first call that failed, Unix ms; where none did, when it was noticed. */
  readonly beganAtMs: number;
  /** The first answer after the last failure; undefined while it goes on, and where the process ended before it did. */
  readonly endedAtMs: number | undefined;
  /** When this was written. */
  readonly updatedAtMs: number;
  /** Why the first call failed; "" where none did. */
  readonly problem: string;
  readonly counts: OutageCounts;
  /** How the data came back, where they are not simply what they were. */
  readonly change: OutageChange | undefined;
}

export interface OutageCounts extends Pick<Tallied, ProducerCount> {
  /** Spooled tasks of which storage has not answered for. */
  readonly waiting: number;
  /** Of the spooled tasks that storage has answered for, since it went away. */
  readonly delivered: number;
  readonly duplicates: number;
  readonly replayed: number;
  readonly parked: number;
  /** Longest time from acceptance to storage's answer, ms. */
  readonly longestDelayMs: number;
  /** Outcomes that came too late: others had been given the task meanwhile. */
  readonly leaseLost: number;
}

type ProducerCount = "enqueued" | "spooled" | "notSent" | "refused" | "unknown" | "turnedAway";

/**
 * `restarted`, on the same place; `elsewhere`, another server took over; `older`, it has data of an earlier time;
 * `other`, it has other data: emptied, or exchanged. The gravest last.
 */
export const changeKinds = ["restarted", "elsewhere", "older", "other"] as const;

export interface OutageChange {
  readonly atMs: number;
  readonly kind: (typeof changeKinds)[number];
  readonly problem: string;
  /** The same for all who saw this change; "" where it is hidden. */
  readonly incarnation: string;
  /** What it had taken before this time it still has, Unix ms; undefined: nothing is sure. */
  readonly keptUntilMs: number | undefined;
  /** Its append-only file is on. */
  readonly appendOnly: boolean;
  /** Of this process, what storage had acknowledged after that time; of all its life where nothing is sure. */
  readonly acknowledged: number;
  /** Of those, in the last two seconds: an append-only file may lack them after a power cut. */
  readonly acknowledgedLast: number;
  /** Of those, sent again by the spool, as far as is certain. */
  readonly sentAgain: number;
  /** Outcomes of this process that storage had taken after that time. */
  readonly settled: number;
}

/** Tasks since the broker was made; who has to do with them adds to it. */
export interface Tallied {
  /** Storage answered the client: enqueued, a duplicate, or its id was taken. */
  enqueued: number;
  /** Accepted into the spool. */
  spooled: number;
  /** Not accepted: not sent, refused, perhaps taken all the same, or turned away by the spool or a limit. */
  notSent: number;
  refused: number;
  unknown: number;
  turnedAway: number;
  /** Storage has acknowledged them, spooled ones too. */
  acknowledged: number;
  settled: number;
  leaseLost: number;
  /** Of spooled tasks: answered for, as duplicates, sent again, parked. */
  delivered: number;
  duplicates: number;
  replayed: number;
  parked: number;
  /** Times. */
  incarnationChanges: number;
  dataLosses: number;
  /** Times that a circuit breaker did. */
  breakerOpened: number;
  breakerDegraded: number;
  /** Set to 0 by whoever records an outage: the longest time that a spooled task waited for its answer, ms … */
  longestDelayMs: number;
  /** … and the most spooled tasks that were sent again at once: what is sent again twice is not counted twice. */
  mostReplayed: number;
}

export const newTally = (): Tallied => ({
  enqueued: 0,
  spooled: 0,
  notSent: 0,
  refused: 0,
  unknown: 0,
  turnedAway: 0,
  acknowledged: 0,
  settled: 0,
  leaseLost: 0,
  delivered: 0,
  duplicates: 0,
  replayed: 0,
  parked: 0,
  incarnationChanges: 0,
  dataLosses: 0,
  breakerOpened: 0,
  breakerDegraded: 0,
  longestDelayMs: 0,
  mostReplayed: 0,
});

/** Where records are kept. */
export interface OutageStore {
  /** Instead of what was there under the same ids; with `missing` only those that are not there. */
  writeOutages(records: readonly OutageRecord[], missing?: boolean): Promise<void>;
  /** All there are, in no order. */
  readOutages(): Promise<OutageRecord[]>;
}

/** A broker tells it how its calls go; it writes the records. */
export interface OutageRecorder {
  answered(): void;
  failed(error: unknown): void;
  changed(change: Pick<OutageChange, "kind" | "problem" | "keptUntilMs" | "appendOnly" | "incarnation">): void;
  close(): Promise<void>;
}

/** What the recorder needs of its broker. */
export interface OutageSource extends OutageStore {
  readonly label: string;
  readonly clock: { nowMs(): number };
  readonly tally: Tallied;
}

const kinds: readonly string[] = ["restarted", "elsewhere", "older", "other"] satisfies OutageChange["kind"][];
const countNames = [
  "enqueued",
  "spooled",
  "notSent",
  "refused",
  "unknown",
  "turnedAway",
  "waiting",
  "delivered",
  "duplicates",
  "replayed",
  "parked",
  "longestDelayMs",
  "leaseLost",
] satisfies (keyof OutageCounts)[];

/** What is stored, as a record; undefined where it is none: anyone may write there. */
export function outageRecordFrom(stored: unknown): OutageRecord | undefined {
  const all = objectOf(stored);
  const counts = objectOf(all?.["counts"]);
  const { id, process, broker, problem, beganAtMs, endedAtMs, updatedAtMs } = all ?? {};
  const texts = [id, process, broker, problem].every((text) => typeof text === "string");
  const ended = endedAtMs === undefined || isCount(endedAtMs);
  if (!texts || !isCount(beganAtMs) || !isCount(updatedAtMs) || !ended || counts === undefined) return undefined;
  const change = changeFrom(all?.["change"]);
  const known = Object.fromEntries(countNames.map((name) => [name, isCount(counts[name]) ? counts[name] : 0]));
  const record = { id, process, broker, problem, beganAtMs, endedAtMs, updatedAtMs, counts: known, change };
  return record as unknown as OutageRecord;
}

function changeFrom(stored: unknown): OutageChange | undefined {
  const all = objectOf(stored);
  if (all === undefined || !kinds.includes(String(all["kind"]))) return undefined;
  const { kind, problem, keptUntilMs, appendOnly, incarnation } = all;
  const numbers = ["atMs", "acknowledged", "acknowledgedLast", "sentAgain", "settled"].map(
    (name) => [name, isCount(all[name]) ? all[name] : 0] as const,
  );
  return {
    ...Object.fromEntries(numbers),
    kind,
    problem: String(problem),
    incarnation: String(incarnation ?? ""),
    keptUntilMs: isCount(keptUntilMs) ? keptUntilMs : undefined,
    appendOnly: appendOnly === true,
  } as OutageChange;
}

const objectOf = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 && value <= 8.64e15;
