import { hostname, userInfo } from "node:os";
import type { Act } from "../broker/roles.js";
import { invalidOption, shown } from "../core/errors.js";
import { storedName } from "../core/names.js";
import { payloadSettings } from "../core/payload.js";
import { scrub } from "../core/scrub.js";
import { type Given, type Resolved, resolve, setting, textSetting } from "../core/settings.js";

const actor = textSetting(200, "who acts; kept with each act. Made of the user, the host and the process unless given");

export const inspectorSettings = { actor, ...payloadSettings };
export type InspectorOptions = Given<typeof inspectorSettings>;

/** One round trip carries at most so many tasks of an act. */
export const maxBatch = 500;

export const bySettings = {
  actor,
  reason: textSetting(500, "why; kept with the act"),
  requestId: textSetting(200, "the act's id, the same in all its batches; made for you (a UUID) unless given"),
};
/** Who does it, why, and under which request. */
export type ByOptions = Given<typeof bySettings>;

export const bulkSettings = {
  ...bySettings,
  limit: setting.integer({ default: undefined, min: 1, says: "of a state: at most so many tasks in all" }),
  batch: setting.integer({ default: maxBatch, min: 1, max: maxBatch, says: "tasks in one round trip" }),
  cursor: cursorSetting("of a state: the cursor of an earlier answer, to go on there"),
};
export const runSettings = {
  ...bulkSettings,
  attempts: setting.integer({
    default: 1,
    min: 1,
    max: 1_000,
    says: "how many more runs a task has, at the least, before it is a dead letter again",
  }),
};

/** How far an act has come. */
export interface BulkProgress {
  readonly moved: number;
  /** Looked at and left: no longer there, in a state that does not allow it, or no task at all. */
  readonly skipped: number;
  /** Entries that were looked at; more than `moved` and `skipped` where a type was asked for. */
  readonly scanned: number;
  /** What there was at the beginning: the act ends there, whatever comes meanwhile. */
  readonly total: number;
}

interface Watching {
  /** Stops between two batches; the answer says what was done. */
  readonly signal?: AbortSignal | undefined;
  /** After each batch. */
  readonly onProgress?: ((progress: BulkProgress) => void) | undefined;
}

/** Of `archive` and `delete`. */
export interface BulkOptions extends Given<typeof bulkSettings>, Watching {}
/** Of `run`. */
export interface RunOptions extends Given<typeof runSettings>, Watching {}

export type Bulk = Resolved<typeof bulkSettings> & Watching & { readonly attempts?: number };

/** @throws OPTION_INVALID */
export function bulkOptions(given: RunOptions | undefined, verb: "run" | "archive" | "delete"): Bulk {
  const { watching, rest } = watched(given, verb);
  return { ...(verb === "run" ? resolve(runSettings, rest, verb) : resolve(bulkSettings, rest, verb)), ...watching };
}

/** @throws OPTION_INVALID */
export function byOptions(given: ByOptions | undefined, verb: string): Resolved<typeof bySettings> {
  return resolve(bySettings, given, verb);
}

export const dropSettings = {
  ...bySettings,
  force: setting.flag({ default: false, says: "delete the tasks it holds, too" }),
};
export interface DropOptions extends Given<typeof dropSettings>, Pick<Watching, "signal"> {}

/** @throws OPTION_INVALID */
export function dropOptions(given: DropOptions | undefined) {
  const { watching, rest } = watched(given, "drop");
  return { ...resolve(dropSettings, rest, "drop"), signal: watching.signal };
}

export const cancelSettings = {
  ...bySettings,
  retry: setting.flag({ default: true, says: "try it again as after a failure; false: archive it at once" }),
};
export type CancelOptions = Given<typeof cancelSettings>;

/** @throws OPTION_INVALID */
export function cancelOptions(given: CancelOptions | undefined) {
  return resolve(cancelSettings, given, "cancel");
}

export const maintenanceSettings = {
  ...bySettings,
  for: setting.duration({
    default: "15m",
    min: "10s",
    max: "4h",
    says: "how long at the most: then queues go on by themselves. Begin again for longer",
  }),
  drain: setting.duration({
    default: "30s",
    max: "1h",
    says: "how long to wait for handlers that run to end, and their outcomes to be kept",
  }),
};
/** Of `beginMaintenance`. */
export interface MaintenanceOptions extends Given<typeof maintenanceSettings>, Pick<Watching, "signal"> {}
export type Maintaining = Resolved<typeof maintenanceSettings> & Pick<Watching, "signal">;

/** @throws OPTION_INVALID */
export function maintenanceOptions(given: MaintenanceOptions | undefined): Maintaining {
  const { watching, rest } = watched(given, "beginMaintenance");
  return { ...resolve(maintenanceSettings, rest, "beginMaintenance"), signal: watching.signal };
}

export const failOverSettings = {
  ...bySettings,
  within: setting.duration({
    default: "15s",
    min: "3s",
    max: "60s",
    says: "how long Redis may be frozen for it at the most",
  }),
};
export type FailOverOptions = Given<typeof failOverSettings>;

/** @throws OPTION_INVALID */
export function failOverOptions(given: FailOverOptions | undefined): Resolved<typeof failOverSettings> {
  return resolve(failOverSettings, given, "failOver");
}

export const outageSettings = {
  since: setting.duration({ default: undefined, says: "only those that ended, or go on, within it" }),
};
export type OutageOptions = Given<typeof outageSettings>;

export const listSettings = {
  limit: setting.integer({ default: 30, min: 1, max: 500, says: "tasks on the page" }),
  cursor: cursorSetting("where the page begins or, backwards, ends; the beginning of the list unless given"),
  backwards: setting.flag({ default: false, says: "the page before the cursor; without one, the list's last" }),
};
export type ListOptions = Given<typeof listSettings>;

/** @throws OPTION_INVALID */
export function listOptions(given: ListOptions | undefined, verb: "list" | "tasks") {
  const { cursor, ...page } = resolve(listSettings, given, verb);
  return { ...page, cursor: cursor === "" ? undefined : cursor };
}

/** The last days of which storage keeps figures are 90. @throws OPTION_INVALID */
export function historyDays(value: unknown): number {
  return setting.integer({ default: 10, min: 1, max: 90, says: "" }).parse(value, "history.days") as number;
}

/** @throws OPTION_INVALID */
export function queueNames(value: unknown, option: string): readonly string[] {
  if (!Array.isArray(value) || value.length > 10_000)
    throw invalidOption(option, `must be a list of at most 10000 names, got ${shown(value)}`);
  return value.map((name, n) => storedName(name, `${option}[${n}]`));
}

/** The act that is kept with what it changed; a secret that slipped into its reason is not. */
export function actOf(by: Resolved<typeof bySettings>, defaultActor: string, newRequestId: () => string): Act {
  return {
    actor: by.actor ?? defaultActor,
    reason: scrub(by.reason ?? "", 500),
    requestId: by.requestId ?? newRequestId(),
  };
}

/** "ann@web-1 (4711)": the user, the host and the process. */
export function thisProcess(): string {
  let user: string;
  try {
    user = userInfo().username;
  } catch {
    user = "unknown"; // A container may run under a number that has no name.
  }
  return `${user}@${hostname()} (${process.pid})`;
}

function cursorSetting(says: string) {
  return setting.text({
    default: undefined,
    allowed: "a cursor as an answer gave it",
    says,
    parse(value, option) {
      if (typeof value === "string" && value.length <= 4_096) return value;
      throw invalidOption(option, `must be a cursor as an answer gave it, got ${shown(value)}`);
    },
  });
}

function watched<O extends Watching>(given: O | undefined, verb: string) {
  if (typeof given !== "object" || given === null) return { watching: {}, rest: given };
  const { signal, onProgress, ...rest } = given;
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw invalidOption(`${verb}.signal`, `must be an AbortSignal, got ${shown(signal)}`);
  if (onProgress !== undefined && typeof onProgress !== "function")
    throw invalidOption(`${verb}.onProgress`, `must be a function, got ${shown(onProgress)}`);
  return { watching: { signal, onProgress } satisfies Watching, rest };
}
