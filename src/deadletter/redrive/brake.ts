import { maxRedriveCauses, otherCauses, type RedriveCauses } from "../../broker/redriving.js";

/** Adds what ended in one more place, or meanwhile. Past as many as are kept apart all are one. */
export function addCauses(sum: Map<string, RedriveCauses[string]>, causes: RedriveCauses): void {
  for (const [cause, { ended, failed }] of Object.entries(causes)) {
    const name = sum.has(cause) || sum.size < maxRedriveCauses ? cause : otherCauses;
    const before = sum.get(name) ?? { ended: 0, failed: 0 };
    sum.set(name, { ended: before.ended + ended, failed: before.failed + failed });
  }
}

/** Why it has to stop, in words; undefined: it may go on. A sample is how many must have ended for their share to count. */
export function brakeSays(causes: RedriveCauses, bound: number, sample: number): string | undefined {
  for (const [name, { ended, failed }] of Object.entries(causes)) {
    if (ended < sample || (failed / ended) * 100 <= bound) continue;
    return `${failed} of ${ended} tasks of ${name} have failed again (more than ${bound} %)`;
  }
  return undefined;
}

/** The same over all causes: of a canary, which is too small to be looked at apart. */
export function canarySays(causes: RedriveCauses, bound: number): string | undefined {
  const all = Object.values(causes).reduce(
    (sum, { ended, failed }) => ({ ended: sum.ended + ended, failed: sum.failed + failed }),
    { ended: 0, failed: 0 },
  );
  if (all.ended === 0 || (all.failed / all.ended) * 100 <= bound) return undefined;
  return `${all.failed} of the first ${all.ended} tasks have failed again (more than ${bound} %)`;
}
