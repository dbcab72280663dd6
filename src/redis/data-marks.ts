import { randomUUID } from "node:crypto";
import type { DataLoss } from "../broker/incarnation.js";
import { lastTimeMs } from "../core/duration.js";
import { LinkError, type Reply, type ScriptCall } from "./link.js";
import { mark as markCall } from "./scripts.gen.js";

/** What a server's mark says (lua/mark.lua). */
export interface Mark {
  readonly key: string;
  /** Tells these data from others. */
  readonly id: string;
  /** Until when they reached before this look, Unix ms; undefined: nobody had looked. */
  readonly foundMs: number | undefined;
  /** Until when they are known to reach now. */
  readonly reachesMs: number;
  readonly gaps: readonly Gap[];
}

/** Between these times the data were lost: they came back as of `fromMs`. */
interface Gap {
  readonly fromMs: number;
  readonly noticedMs: number;
}

/** What else a look has told of the server that has the mark. */
interface Data {
  readonly mark: Mark;
  /** 0: unknown. Only said beside a loss: fewer than before may as well have been worked off. */
  readonly keys: number;
}

/** The marks that this process has seen, so that it notices data that are others, or older. */
export class DataMarks {
  readonly #seen = new Map<string, Data>();

  /** Of the servers that were looked at. */
  get keys(): string[] {
    return [...this.#seen.keys()];
  }

  /** Reads the mark there, and writes until when the data are known to reach. */
  call(key: string, nowMs: number): ScriptCall {
    const knownMs = this.#seen.get(key)?.mark.reachesMs ?? 0;
    return markCall({ data: key }, { fresh: randomUUID(), nowMs: Math.floor(nowMs), knownMs });
  }

  /** Whether it is as it should be, by itself; what a look knows beside it comes with `lossBy`. */
  isSame({ key, id, gaps }: Mark): boolean {
    const before = this.#seen.get(key)?.mark;
    return before === undefined || (before.id === id && !gaps.some(({ noticedMs }) => noticedMs > before.reachesMs));
  }

  /** The mark has been looked at, and is the same. */
  renew(mark: Mark): void {
    const before = this.#seen.get(mark.key);
    if (before !== undefined) this.#seen.set(mark.key, { ...before, mark });
  }

  /** What is missing, as far as it can be told; from now on this is what there should be. */
  lossBy(now: Data): DataLoss | undefined {
    const { key, id, gaps } = now.mark;
    const before = this.#seen.get(key);
    this.#seen.set(key, now);
    if (before === undefined) return undefined;
    const counts = now.keys > 0 || before.keys > 0 ? `: ${now.keys} keys, there were ${before.keys}` : "";
    if (before.mark.id !== id) return { problem: `it has other data${counts}`, keptUntilMs: undefined };
    const fresh = gaps.filter(({ noticedMs }) => noticedMs > before.mark.reachesMs);
    if (fresh.length === 0) return undefined;
    const keptUntilMs = Math.min(...fresh.map(({ fromMs }) => fromMs));
    return { problem: `it came back as it was at ${new Date(keptUntilMs).toISOString()}${counts}`, keptUntilMs };
  }
}

/** Undefined where we may not look, or nothing could be written yet. @throws BROKER_UNAVAILABLE where it cannot be told now */
export function markFrom(key: string, reply: Reply | undefined, label: string): Mark | undefined {
  if (reply instanceof LinkError && reply.outcome !== "failed" && reply.code !== "NOPERM") throw reply.toError(label);
  if (!Array.isArray(reply) || reply.length < 4) return undefined;
  const [id, found, reaches, gaps] = reply;
  if (String(id) === "") return undefined;
  return {
    key,
    id: String(id),
    foundMs: timeOf(found) || undefined,
    reachesMs: timeOf(reaches),
    gaps: [...String(gaps).matchAll(/(\d+):(\d+)/g)].map(([, from, noticed]) => ({
      fromMs: timeOf(from),
      noticedMs: timeOf(noticed),
    })),
  };
}

/** Anyone may have written there. */
const timeOf = (stored: unknown) => Math.min(Number(stored) || 0, lastTimeMs);
