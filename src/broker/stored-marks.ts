import type { Mark, TaskCopy } from "../core/info.js";
import { lastTimeMs } from "../core/duration.js";
import { storedJson } from "../core/stored-json.js";
import type { Act } from "./roles.js";

/** What an engine keeps of marks on a task; anyone may write to storage, so what is none of ours is none. */

export const markText = ({ actor, reason }: Act, nowMs: number): string =>
  JSON.stringify({ at: nowMs, actor, reason } satisfies StoredMark);

interface StoredMark {
  readonly at: number;
  readonly actor: string;
  readonly reason: string;
}

export function storedMark(text: string | null | undefined): Mark | undefined {
  return markIn(storedJson(text));
}

/** One of an earlier death says nothing of this one. `archivedAtMs` is in whole seconds. */
export function standingMark(text: string | null | undefined, archivedAtMs: number | undefined): Mark | undefined {
  const mark = storedMark(text);
  return mark === undefined || archivedAtMs === undefined || mark.atMs < archivedAtMs ? undefined : mark;
}

export function storedCopies(text: string | null | undefined): readonly TaskCopy[] | undefined {
  const stored = storedJson(text);
  if (!Array.isArray(stored)) return undefined;
  const copies = stored.flatMap((one: unknown) => {
    const mark = markIn(one);
    const { queue, id } = (one ?? {}) as Record<string, unknown>;
    return mark !== undefined && typeof queue === "string" && typeof id === "string" ? [{ queue, id, ...mark }] : [];
  });
  return copies.length === 0 ? undefined : copies;
}

function markIn(stored: unknown): Mark | undefined {
  if (typeof stored !== "object" || stored === null) return undefined;
  const { at, actor, reason } = stored as Record<string, unknown>;
  const atMs = Number(at);
  if (!(Math.abs(atMs) <= lastTimeMs) || typeof actor !== "string") return undefined;
  return { atMs, actor, reason: typeof reason === "string" ? reason : "" };
}
