import type { RedriveCauses, RedriveCounts, RedriveStand, StandAsking } from "../../broker/redriving.js";
import { inTrips } from "../../core/portions.js";
import type { Desk } from "../desk.js";
import { addCauses } from "./brake.js";
import type { RedriveDocument, RedriveStanding, StoredRedrive } from "./document.js";
import { readQueues } from "./queue-pages.js";

const noCounts: Record<keyof RedriveCounts, number> = {
  left: 0,
  waiting: 0,
  succeeded: 0,
  failedSame: 0,
  failedOther: 0,
  gone: 0,
  notMoved: 0,
};
export const nothing: RedriveStanding = { counts: noCounts, causes: {} };

const names = Object.keys(noCounts) as (keyof RedriveCounts)[];

export const addedCounts = (a: RedriveCounts, b: Partial<RedriveCounts>): RedriveCounts =>
  Object.fromEntries(names.map((name) => [name, a[name] + (b[name] ?? 0)])) as unknown as RedriveCounts;

/** Of thousands of places. */
export function added(standings: readonly RedriveStanding[]): RedriveStanding {
  const counts = { ...noCounts };
  const causes = new Map<string, RedriveCauses[string]>();
  for (const one of standings) {
    for (const name of names) counts[name] += one.counts[name];
    addCauses(causes, one.causes);
  }
  return { counts, causes: Object.fromEntries(causes) };
}

const queuesPerTrip = 500;

/** Of each queue, in order. */
export function standsOf(
  { store, nowMs }: Desk,
  id: string,
  queues: readonly string[],
  how: StandAsking,
  lookAtMs = nowMs(),
): Promise<RedriveStand[]> {
  return inTrips(queues, queuesPerTrip, (some) => store.redriveStands(id, some, how, lookAtMs));
}

/** Over all queues of a redrive; of one that is over, as it was then. */
export async function standingOf(
  desk: Desk,
  { id, redrive }: Omit<StoredRedrive, "version">,
): Promise<RedriveStanding> {
  if (redrive.standing !== undefined) return redrive.standing;
  return added(await standsOf(desk, id, await queuesOf(desk, id, redrive), { limit: 1, round: redrive.round }));
}

export const queuesOf = (desk: Desk, id: string, { queuePages }: RedriveDocument): Promise<string[]> =>
  readQueues(desk, id, queuePages);
