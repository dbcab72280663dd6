interface Seen {
  /** When the last save that went well ended, Unix s, as the server tells it. */
  readonly endedS: number;
  /** Whatever ends next began no earlier, Unix ms. */
  readonly nextSinceMs: number;
  readonly savedUntilMs: number | undefined;
}

/**
 * Until when a server's last snapshot has what was written: until it began. No server tells that: how long the last save
 * took is told of one that failed, too, and of one that went to a replica. So ends are seen as they come: what ended
 * since the last look began no earlier than that look, or than the save that was under way then.
 */
export class Saves {
  readonly #seen = new Map<string, Seen>();

  /** INFO persistence of the server with that run id, asked for at that time. Undefined while no end was seen. */
  look(runId: string, info: Readonly<Record<string, string>>, askedMs: number): number | undefined {
    const endedS = Number(info["rdb_last_save_time"] ?? 0);
    const before = this.#seen.get(runId);
    // Of two looks at a time the earlier may be told later.
    if (before !== undefined && endedS < before.endedS) return before.savedUntilMs;
    // All is told in whole seconds.
    const runsMs =
      info["rdb_bgsave_in_progress"] === "1" ? (Number(info["rdb_current_bgsave_time_sec"]) + 1) * 1_000 : 0;
    const sinceMs = Number.isFinite(runsMs) ? askedMs - runsMs : Number.NEGATIVE_INFINITY;
    const seen = {
      endedS,
      nextSinceMs: Math.max(sinceMs, before?.nextSinceMs ?? Number.NEGATIVE_INFINITY),
      savedUntilMs: before !== undefined && endedS > before.endedS ? before.nextSinceMs : before?.savedUntilMs,
    };
    this.#seen.set(runId, seen);
    return seen.savedUntilMs;
  }
}
