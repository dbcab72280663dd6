import { queueName } from "../../core/names.js";
import { type Given, type Resolved, resolve, setting, textSetting } from "../../core/settings.js";
import type { ByOptions } from "../../inspector/options.js";

/** How dead letters are run again, whether by `run` or by a redrive. */
const shared = {
  attempts: setting.integer({
    default: 1,
    min: 1,
    max: 1_000,
    says: "how many runs a task has before it is a dead letter again",
  }),
  queue: setting.text({
    default: undefined,
    allowed: "1 to 128 letters, digits or _ . : -",
    says: "another queue to run them in; their own unless given",
    parse: queueName,
  }),
  minBuild: textSetting(100, "only workers of this build or a later one run them; Go's workers do not know of builds"),
  atMostOnce: setting.flag({ default: false, says: "also tasks that are to run at most once, and may have run" }),
  needsHuman: setting.flag({
    default: false,
    says: "also tasks whose definition says that a human is to decide on each",
  }),
  maxRedrives: setting.integer({
    default: 10,
    min: 1,
    max: 1_000,
    says: "not tasks that were run again from the dead letters as often as this",
  }),
};

export const runSettings = {
  ...shared,
  at: setting.date({ says: "not before this time; now unless given. Not together with another queue's builds" }),
  limit: setting.integer({ default: undefined, min: 1, says: "of a search: at most so many" }),
};

export const redriveSettings = {
  ...shared,
  rate: setting.integer({ default: 10, min: 1, max: 5_000, says: "tasks a second, once it has come up to speed" }),
  ramp: setting.duration({ default: "30s", max: "1h", says: "how long it takes to come up to speed" }),
  inFlight: setting.integer({
    default: 1_000,
    min: 1,
    max: 10_000,
    says: "so many at the most are moved and have not ended: with slow handlers the brake would come too late",
  }),
  canary: setting.integer({
    default: 5,
    max: 500,
    says: "so many go first, and what becomes of them is waited for; 0: none",
  }),
  brake: setting.integer({
    default: 20,
    max: 100,
    says: "it stops itself when more than this share of a cause's tasks, in percent, has failed again; 100: never",
  }),
  brakeSample: setting.integer({
    default: 10,
    min: 1,
    max: 10_000,
    says: "so many tasks of a cause must have ended before their share counts; of the canary, all of it",
  }),
  ordered: setting.flag({
    default: false,
    says: "one after the other, the oldest first: the next when the one before has succeeded, and a stop when one fails",
  }),
  watch: setting.duration({
    default: "1h",
    min: "1s",
    max: "20h",
    says: "how long after the last task was moved it waits for those that have not ended",
  }),
};

export interface RunDeadOptions extends ByOptions, Given<typeof runSettings> {
  /** Stops between two batches; the answer says what was done. */
  readonly signal?: AbortSignal | undefined;
  /** After each batch. */
  readonly onProgress?: ((progress: { readonly moved: number; readonly refused: number }) => void) | undefined;
}
export interface RedriveOptions extends ByOptions, Given<typeof redriveSettings> {}

export type RunSettings = Resolved<typeof runSettings>;
export type RedriveSettings = Resolved<typeof redriveSettings>;

/** @throws OPTION_INVALID */
export function runOptions(given: RunDeadOptions | undefined) {
  const { actor, reason, requestId, signal, onProgress, ...rest } = given ?? {};
  return { by: byOf({ actor, reason, requestId }), settings: resolve(runSettings, rest, "run"), signal, onProgress };
}

/** @throws OPTION_INVALID */
export function redriveOptions(given: RedriveOptions | undefined) {
  const { actor, reason, requestId, ...rest } = given ?? {};
  return { by: byOf({ actor, reason, requestId }), settings: resolve(redriveSettings, rest, "redrive") };
}

const byOf = (by: ByOptions): ByOptions => by;
