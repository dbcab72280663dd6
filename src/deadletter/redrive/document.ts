import type { LeaseTerm } from "../../broker/document-lease.js";
import type { StoredDocument } from "../../broker/documents.js";
import type { Act } from "../../broker/roles.js";
import { HoldfastError } from "../../core/errors.js";
import type { Desk } from "../desk.js";
import type { Ineligible } from "./reasons.js";
import type { RedriveSettings } from "./options.js";
import type { DeadSelection } from "./selection.js";

/**
 * How far it is: choosing its tasks, moving the first few, moving the rest, waiting for what was moved, putting away what is
 * left, over.
 */
export type RedrivePhase = "choosing" | "canary" | "moving" | "watching" | "ending" | "ended";
/** `braked`: it stopped itself. Paused and braked ones move nothing, and go on when they are resumed. */
export type RedriveStatus = "running" | "paused" | "braked" | "cancelled" | "done";

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
  /** Those in which it has chosen tasks. */
  readonly queues: readonly string[];
  /** What was selected and is not eligible, by why. */
  readonly skipped: Readonly<Partial<Record<Ineligible, number>>>;
  /** By fingerprint, since it was started or resumed: what the brake goes by. */
  readonly causes: Readonly<Record<string, { readonly ended: number; readonly failed: number }>>;
  /** When it began to come up to speed. */
  readonly rampAtMs: number;
  /** When the last task was moved. */
  readonly movedAtMs: number;
  readonly endedAtMs?: number | undefined;
  /** The process that drives it, and until when it has said so. */
  readonly driver?: LeaseTerm | undefined;
}

export interface StoredRedrive {
  readonly id: string;
  readonly version: number;
  readonly redrive: RedriveDocument;
}

export const kind = "redrive";

/** How long what is known of one is kept when it is over. */
export const keepMs = 30 * 86_400_000;

/** All there are, the last one first. */
export async function readRedrives({ store }: Desk): Promise<StoredRedrive[]> {
  const documents = await store.readDocuments(kind);
  return documents.flatMap(storedRedrive).toSorted((a, b) => b.redrive.createdAtMs - a.redrive.createdAtMs);
}

/** @throws REDRIVE_NOT_FOUND */
export async function readRedrive({ store }: Desk, id: string): Promise<StoredRedrive> {
  const [document] = await store.readDocuments(kind, [id]);
  return redriveIn(id, document);
}

/** @throws REDRIVE_NOT_FOUND */
export function redriveIn(id: string, document: StoredDocument | undefined): StoredRedrive {
  const [found] = document === undefined ? [] : storedRedrive(document);
  if (found === undefined) throw new HoldfastError("REDRIVE_NOT_FOUND", { id });
  return found;
}

/** Anyone may have written there: what is no redrive is none. */
function storedRedrive({ id, version, value }: StoredDocument): StoredRedrive[] {
  const redrive = value as RedriveDocument | null;
  const isOne = typeof redrive === "object" && redrive !== null && Array.isArray(redrive.queues) && "phase" in redrive;
  return isOne ? [{ id, version, redrive }] : [];
}

/** @throws OPTION_INVALID for a selection that is too large to be kept */
export async function writeRedrive(desk: Desk, { id, version, redrive }: StoredRedrive): Promise<boolean> {
  const writes = [{ id, value: redrive, ifVersion: version }];
  const [receipt] = await desk.store.writeDocuments(kind, writes, desk.nowMs());
  if (receipt?.status === "full") throw failed(desk, "there are as many redrives as are kept");
  return receipt?.status === "written";
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
    if (await writeRedrive(desk, { ...stored, redrive })) return { ...stored, redrive };
    if (tries === mostTries) throw failed(desk, `redrive ${id} is changed by too many at once`);
  }
}

const mostTries = 50;

const failed = ({ broker }: Desk, problem: string) =>
  new HoldfastError("BROKER_FAILED", { broker: broker.label, problem });

/** Those that were over long ago make room. */
export async function forgetOld(desk: Desk): Promise<void> {
  const beforeMs = desk.nowMs() - keepMs;
  const old = (await readRedrives(desk)).filter(({ redrive }) => (redrive.endedAtMs ?? Infinity) < beforeMs);
  const writes = old.map(({ id, version }) => ({ id, value: undefined, ifVersion: version }));
  if (writes.length > 0) await desk.store.writeDocuments(kind, writes, desk.nowMs());
}
