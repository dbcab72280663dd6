interface Seen {
  /** When it was asked, and how far it had written then; those that no replica has confirmed yet, the oldest first. */
  unconfirmed: { readonly askedMs: number; readonly offset: number }[];
  /** Those that have followed, by their address, and how far they had got. */
  readonly replicas: Map<string, { offset: number; missedSinceMs: number | undefined }>;
  untilMs: number | undefined;
}

/**
 * A replica that has known for so many times as long as it takes to see that a master is gone that it is cut off is not
 * made the master: Sentinel's own rule, and the default of `cluster-replica-validity-factor`.
 */
const validityFactor = 10;
/** Redis's own default. Who hears nothing any more, and no end of it either, knows of it after so long. */
export const usualReplTimeoutMs = 60_000;
/** How much longer than it takes to see that a master is gone, its clients may write to it. */
export const marginMs = 10_000;

/**
 * So long after it was written a replica that lacks it is not made the master, where a master is taken for dead after so
 * much silence, and a replica for cut off.
 */
export const aloneAfterMs = (noticedMs: number, replTimeoutMs: number): number =>
  validityFactor * noticedMs + replTimeoutMs + marginMs;

/** While no replica follows, later times wait until the earlier ones are confirmed. */
const mostUnconfirmed = 1_000;

/**
 * Until when all replicas of a server that may take over have what was written there. A server tells how far it has
 * written, and how far each replica has confirmed; so what it had written when it was asked is theirs once they have
 * confirmed as much. One that has followed and is missing now may take over all the same, for as long as it is told. All
 * times are of `performance.now()`: when the storage's clock jumps ahead, nobody has been missing for any longer.
 */
export class Replicas {
  readonly #seen = new Map<string, Seen>();
  readonly #forgetAfterMs: () => number;

  /** One that has been missing for so long takes over no more. */
  constructor(forgetAfterMs: () => number) {
    this.#forgetAfterMs = forgetAfterMs;
  }

  /** INFO replication of the server with that run id, asked for at that time. Undefined while none has followed. */
  look(runId: string, info: Readonly<Record<string, string>>, askedMs: number): number | undefined {
    // A server that was a replica meanwhile counts from another beginning.
    const history = `${runId} ${info["master_replid"]}`;
    const seen: Seen = this.#seen.get(history) ?? { unconfirmed: [], replicas: new Map(), untilMs: undefined };
    this.#seen.set(history, seen);
    const { unconfirmed } = seen;
    // Of two looks at a time the earlier may be told later.
    const isNews = askedMs > (unconfirmed.at(-1)?.askedMs ?? Number.NEGATIVE_INFINITY);
    if (isNews && unconfirmed.length < mostUnconfirmed)
      unconfirmed.push({ askedMs, offset: Number(info["master_repl_offset"]) });
    const confirmed = confirmedBy(seen, followingIn(info), askedMs, this.#forgetAfterMs());
    if (confirmed === undefined) return seen.untilMs;
    const end = unconfirmed.findIndex(({ offset }) => offset > confirmed);
    const theirs = unconfirmed.splice(0, end < 0 ? unconfirmed.length : end);
    seen.untilMs = theirs.at(-1)?.askedMs ?? seen.untilMs ?? Number.NEGATIVE_INFINITY;
    return seen.untilMs;
  }
}

/** How far those have got that follow, and those that may be back; undefined: none follows. */
function confirmedBy(
  { replicas }: Seen,
  following: ReadonlyMap<string, number>,
  askedMs: number,
  forgetAfterMs: number,
): number | undefined {
  for (const [address, offset] of following) replicas.set(address, { offset, missedSinceMs: undefined });
  for (const [address, replica] of replicas) {
    if (following.has(address)) continue;
    replica.missedSinceMs ??= askedMs;
    if (askedMs - replica.missedSinceMs > forgetAfterMs) replicas.delete(address);
  }
  return following.size === 0 ? undefined : Math.min(...[...replicas.values()].map(({ offset }) => offset));
}

/** All that have the data and follow, and what they have confirmed: "slave0:ip=…,port=…,state=online,offset=123,lag=0". */
function followingIn(info: Readonly<Record<string, string>>): Map<string, number> {
  const found = new Map<string, number>();
  for (const [name, value] of Object.entries(info)) {
    if (!/^slave\d+$/.test(name) || !value.includes("state=online")) continue;
    const [, address = "", offset = "-Infinity"] = /^(ip=.*?,port=\d+),.*offset=(\d+)/.exec(value) ?? [];
    // Who announces what another one does, too, may be either.
    found.set(address, Math.min(Number(offset), found.get(address) ?? Number.POSITIVE_INFINITY));
  }
  return found;
}
