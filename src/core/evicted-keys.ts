/** What a Redis server says of the keys that it has deleted for want of memory, and of which run of it that is. */
export interface EvictedKeys {
  /** Since it runs, or since somebody set its statistics back. */
  readonly count: number;
  /** "" where it is hidden. */
  readonly runId: string;
  /** How long it has been running, ms. */
  readonly uptimeMs: number;
  /** When it was asked, ms, by a clock that does not go back. */
  readonly atMs: number;
}

/** Reads INFO's fields; undefined where they do not tell. */
export function evictedKeysFrom(info: Readonly<Record<string, string>>, atMs: number): EvictedKeys | undefined {
  const { evicted_keys: count, run_id: runId = "", uptime_in_seconds: uptimeS } = info;
  if (count === undefined) return undefined;
  return { count: Number(count) || 0, runId, uptimeMs: Number(uptimeS) * 1_000, atMs };
}

/**
 * How many were deleted between two looks at one address. A counter goes on, or begins at 0 with a restart; but behind the
 * same address may be another server by now, and what that one deleted before was of other data.
 */
export function evictedSince(before: EvictedKeys, now: EvictedKeys): number {
  const isSame = now.runId === before.runId;
  if (isSame && now.count >= before.count) return now.count - before.count;
  const hasBegunAnew = isSame ? now.runId !== "" : now.uptimeMs < now.atMs - before.atMs;
  return hasBegunAnew ? now.count : 0;
}

/** A server by its address alone, "host:port" or a path, of a label that begins with its scheme. */
export const nodeIn = (label: string): string => label.replace(/^.*:\/\//, "");
