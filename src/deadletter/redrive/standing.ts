import type { RedriveCounts } from "../../broker/redriving.js";
import type { Desk } from "../desk.js";

export const noCounts: RedriveCounts = {
  left: 0,
  waiting: 0,
  succeeded: 0,
  failedSame: 0,
  failedOther: 0,
  gone: 0,
  notMoved: 0,
};

const names = Object.keys(noCounts) as (keyof RedriveCounts)[];

export const addedCounts = (a: RedriveCounts, b: RedriveCounts): RedriveCounts =>
  Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as unknown as RedriveCounts;

/** Over all queues of a redrive. */
export async function countsOf({ store, nowMs }: Desk, id: string, queues: readonly string[]): Promise<RedriveCounts> {
  const stands = await Promise.all(queues.map((queue) => store.redriveStand(id, queue, 1, nowMs())));
  return stands.reduce((sum, { counts }) => addedCounts(sum, counts), noCounts);
}
