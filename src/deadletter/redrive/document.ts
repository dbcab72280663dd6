import type { LeaseTerm } from "../../broker/document-lease.js";
import type { StoredDocument } from "../../broker/documents.js";
import type { RedriveStand } from "../../broker/redriving.js";
import type { Act } from "../../broker/roles.js";
import { HoldfastError } from "../../core/errors.js";
import { type Desk, failed, forgetDocuments } from "../desk.js";
import type { Ineligible } from "./reasons.js";
import type { RedriveSettings } from "./options.js";
import { forgetQueues, keepPages } from "./queue-pages.js";
import type { DeadSelection } from "./selection.js";

/**
 * How far it is: choosing its tasks, moving the first few, moving the rest, waiting for what was moved, putting away what is
 * left, over.
 */
export type RedrivePhase = "choosing" | "canary" | "moving" | "watching" | "ending" | "ended";
/** `braked`: it stopped itself. Paused and braked ones move nothing, and go on when they are resumed. */
export type RedriveStatus = "running" | "paused" | "braked" | "cancelled" | "done";

/** What is known of its tasks, and by cause of those that ended since it was started or resumed. */
export type RedriveStanding = Pick<RedriveStand, "counts" | "causes">;

/** What is kept of a redrive: whoever drives it has nothing else to go on. Which tasks it has is kept beside them. */
export interface RedriveDocument {
  readonly by: Act;
  readonly createdAtMs: number;
  readonly selection: DeadSelection;
  readonly settings: RedriveSettings;
  readonly phase: RedrivePhase;
  readonly status: RedriveStatus;
  /** Why it is paused, or stopped itself. */
  readonly says: string;
  /** In so many queues it has chosen tasks; their names are on so many pages (queue-pages.ts). */
  readonly queues: number;
  readonly queuePages: number;
  /** What was selected and is not eligible, by why. */
  readonly skipped: Readonly<Partial<Record<Ineligible, number>>>;
  /** How often it was resumed: the brake goes by what has ended since. */
  readonly round: number;
  /** When it began to come up to speed. */
  readonly rampAtMs: number;
  /** When the last task was moved. */
  readonly movedAtMs: number;
  readonly endedAtMs?: number | undefined;
  /** When it was over. */
  readonly standing?: RedriveStanding | undefined;
  /** The process that drives it, and until when it has said so. */
  readonly driver?: LeaseTerm | undefined;
}

export interface StoredRedrive {
  readonly id: string;
  readonly version: number;
  readonly redrive: RedriveDocument;
}

/** Those that are not over: whoever drives reads all of them, again and again. The others are kept apart. */
export const kind = "redrive";
const endedKind = "redrive-ended";

/** How long what is known of one is kept when it is over, and of how many. */
export const keepMs = 30 * 86_400_000;
const keepMost = 1_000;

/** Those that are not over; one that has just ended may be among them. */
export async function readLive({ store }: Desk): Promise<StoredRedrive[]> {
  return (await store.readDocuments(kind)).flatMap(storedRedrive).toSorted(lastFirst);
}

/** All there are, the last one first. */
export async function readRedrives(desk: Desk): Promise<StoredRedrive[]> {
  const live = await readLive(desk);
  const ids = new Set(live.map(({ id }) => id));
  const ended = (await readEnded(desk)).filter(({ id }) => !ids.has(id));
  return [...live, ...ended].toSorted(lastFirst);
}

const readEnded = async ({ store }: Desk): Promise<StoredRedrive[]> =>
  (await store.readDocuments(endedKind)).flatMap(storedRedrive);

const lastFirst = (a: StoredRedrive, b: StoredRedrive) => b.redrive.createdAtMs - a.redrive.createdAtMs;

/** @throws REDRIVE_NOT_FOUND */
export async function readRedrive(desk: Desk, id: string): Promise<StoredRedrive> {
  const [live] = await desk.store.readDocuments(kind, [id]);
  return redriveIn(desk, id, live);
}

/** What was read among those that are not over, or it is one that is. @throws REDRIVE_NOT_FOUND */
export async function redriveIn({ store }: Desk, id: string, live: StoredDocument | undefined): Promise<StoredRedrive> {
  const isLive = live !== undefined && isRedrive(live.value);
  const [found] = (isLive ? [live] : await store.readDocuments(endedKind, [id])).flatMap(storedRedrive);
  if (found === undefined) throw new HoldfastError("REDRIVE_NOT_FOUND", { id });
  return found;
}

const storedRedrive = ({ id, version, value }: StoredDocument): StoredRedrive[] =>
  isRedrive(value) ? [{ id, version, redrive: value }] : [];

/** Anyone may have written there: what is no redrive is none. */
function isRedrive(value: unknown): value is RedriveDocument {
  const { settings, phase } = Object(value) as Partial<Record<string, unknown>>;
  return typeof settings === "object" && typeof phase === "string";
}

export const isOpen = (value: unknown): boolean => isRedrive(value) && value.phase !== "ended";

/** Answers its new version; undefined where somebody else has changed it meanwhile. */
export async function writeRedrive(desk: Desk, { id, version, redrive }: StoredRedrive): Promise<number | undefined> {
  const writes = [{ id, value: redrive, ifVersion: version }];
  const [receipt] = await desk.store.writeDocuments(kind, writes, desk.nowMs());
  if (receipt?.status === "full") throw failed(desk, "there are as many redrives as are kept");
  return receipt?.status === "written" ? receipt.version : undefined;
}

/** One that has ended goes to the others that have: first there, then from here, and again by whoever finds it. */
export async function putAway(desk: Desk, { id, version, redrive }: StoredRedrive): Promise<void> {
  const writes = [{ id, value: redrive, ifVersion: 0 }];
  const [receipt] = await desk.store.writeDocuments(endedKind, writes, desk.nowMs());
  if (receipt?.status !== "full") await forgetDocuments(desk, kind, [{ id, version }]);
}

/** Others write, too (a pause, another rate): what they wrote is read, and changed again. `change` answers undefined to leave it. */
export async function changeRedrive(
  desk: Desk,
  id: string,
  change: (redrive: RedriveDocument) => RedriveDocument | undefined,
): Promise<StoredRedrive> {
  for (let tries = 1; ; tries += 1) {
    const stored = await readRedrive(desk, id);
    const redrive = change(stored.redrive);
    if (redrive === undefined) return stored;
    const version = await writeRedrive(desk, { ...stored, redrive });
    if (version !== undefined) return { id, version, redrive };
    if (tries === mostTries) throw failed(desk, `redrive ${id} is changed by too many at once`);
  }
}

const mostTries = 50;

/** Those that were over long ago make room, and so does what is no redrive. */
export async function forgetOld(desk: Desk): Promise<void> {
  const live = await desk.store.readDocuments(kind);
  const strays = live.filter(({ value }) => !isRedrive(value));
  await forgetDocuments(desk, kind, strays);
  for (const one of live.flatMap(storedRedrive).toSorted(lastFirst))
    if (one.redrive.phase === "ended") await putAway(desk, one);
  const beforeMs = desk.nowMs() - keepMs;
  const ended = (await readEnded(desk)).toSorted(lastFirst);
  let pages = 0;
  const old = ended.filter(({ redrive }, n) => {
    pages += redrive.queuePages;
    return n >= keepMost || pages > keepPages || (redrive.endedAtMs ?? 0) < beforeMs;
  });
  for (const { id, redrive } of old) await forgetQueues(desk, id, redrive.queuePages);
  await forgetDocuments(desk, endedKind, old);
}
