import type { AuditEntry, AuditStore } from "../../broker/audit.js";

export interface SeenAct extends AuditEntry {
  /** Chained and signed: later changes would be found. */
  readonly sealed: boolean;
}

/** What was done last, the newest first, sealed or not: in all queues, or as one queue's log has it. */
export async function lastActs(audit: AuditStore, limit: number, queue?: string): Promise<SeenAct[]> {
  const logs = queue === undefined ? await audit.logs() : [queue];
  const read = await audit.read(
    logs.map((log) => ({ log })),
    limit,
    true,
  );
  const { places } = await audit.sealing();
  const upTo = new Map(places.map(({ log, number }) => [log, number ?? 0]));
  return read
    .flat()
    .toSorted((a, b) => b.atMs - a.atMs)
    .slice(0, limit)
    .map((act) => ({ ...act, sealed: (act.number ?? Number.POSITIVE_INFINITY) <= (upTo.get(act.log) ?? 0) }));
}

export interface UnsealedActs {
  readonly count: number;
  /** There are more than were counted. */
  readonly more: boolean;
  /** Of the oldest; undefined where there is none. */
  readonly sinceMs: number | undefined;
}

const countedPerLog = 100;

/** What nothing protects yet. */
export async function unsealedActs(audit: AuditStore): Promise<UnsealedActs> {
  const { places } = await audit.sealing();
  const after = new Map(places.map(({ log, id }) => [log, id || undefined]));
  const logs = await audit.logs();
  const read = await audit.read(
    logs.map((log) => ({ log, after: after.get(log) })),
    countedPerLog,
  );
  const acts = read.flat();
  const sinceMs = acts.length === 0 ? undefined : Math.min(...acts.map(({ atMs }) => atMs));
  return { count: acts.length, more: read.some((some) => some.length === countedPerLog), sinceMs };
}
