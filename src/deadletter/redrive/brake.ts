import type { RedriveDocument } from "./document.js";

type Causes = RedriveDocument["causes"];

/** As many causes are kept apart; all others are one. */
const maxCauses = 100;
const others = "others";

/** The causes, with one more task of one that has ended. */
export function withEnd(causes: Causes, fingerprint: string, failed: boolean): Causes {
  const isKnown = Object.hasOwn(causes, fingerprint) || Object.keys(causes).length < maxCauses;
  const name = isKnown && fingerprint !== "" ? fingerprint : others;
  const before = (Object.hasOwn(causes, name) ? causes[name] : undefined) ?? { ended: 0, failed: 0 };
  return { ...causes, [name]: { ended: before.ended + 1, failed: before.failed + (failed ? 1 : 0) } };
}

/** Why it has to stop, in words; undefined: it may go on. A sample is how many must have ended for their share to count. */
export function brakeSays(causes: Causes, bound: number, sample: number): string | undefined {
  for (const [name, { ended, failed }] of Object.entries(causes)) {
    if (ended < sample || (failed / ended) * 100 <= bound) continue;
    return `${failed} of ${ended} tasks of ${name} have failed again (more than ${bound} %)`;
  }
  return undefined;
}

/** The same over all causes: of a canary, which is too small to be looked at apart. */
export function canarySays(causes: Causes, bound: number): string | undefined {
  const all = Object.values(causes).reduce(
    (sum, { ended, failed }) => ({ ended: sum.ended + ended, failed: sum.failed + failed }),
    { ended: 0, failed: 0 },
  );
  if (all.ended === 0 || (all.failed / all.ended) * 100 <= bound) return undefined;
  return `${all.failed} of the first ${all.ended} tasks have failed again (more than ${bound} %)`;
}
