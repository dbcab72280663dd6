interface Seen {
  /** When it was asked, and how far it had written then; those that no replica has confirmed yet, the oldest first. */
  unconfirmed: { readonly askedMs: number; readonly offset: number }[];
  untilMs: number | undefined;
}

/** While no replica follows, later times wait until the earlier ones are confirmed. */
const mostUnconfirmed = 1_000;

/**
 * Until when all replicas that follow a server have what was written there. A server tells how far it has written, and how
 * far each replica has confirmed; so what it had written when it was asked is theirs once they have confirmed as much.
 */
export class Replicas {
  readonly #seen = new Map<string, Seen>();

  /** INFO replication of the server with that run id, asked for at that time. Undefined while none has followed. */
  look(runId: string, info: Readonly<Record<string, string>>, askedMs: number): number | undefined {
    const seen = this.#seen.get(runId) ?? { unconfirmed: [], untilMs: undefined };
    this.#seen.set(runId, seen);
    const { unconfirmed } = seen;
    // Of two looks at a time the earlier may be told later.
    const isNews = askedMs > (unconfirmed.at(-1)?.askedMs ?? Number.NEGATIVE_INFINITY);
    if (isNews && unconfirmed.length < mostUnconfirmed)
      unconfirmed.push({ askedMs, offset: Number(info["master_repl_offset"]) });
    const confirmed = confirmedBy(info);
    if (confirmed === undefined) return seen.untilMs;
    const end = unconfirmed.findIndex(({ offset }) => offset > confirmed);
    const theirs = unconfirmed.splice(0, end < 0 ? unconfirmed.length : end);
    seen.untilMs = theirs.at(-1)?.askedMs ?? seen.untilMs ?? Number.NEGATIVE_INFINITY;
    return seen.untilMs;
  }
}

/** By all that have the data and follow: "slave0:ip=…,port=…,state=online,offset=123,lag=0". */
function confirmedBy(info: Readonly<Record<string, string>>): number | undefined {
  const offsets = Object.entries(info)
    .filter(([name, value]) => /^slave\d+$/.test(name) && value.includes("state=online"))
    .map(([, value]) => Number(/offset=(\d+)/.exec(value)?.[1]));
  return offsets.length === 0 ? undefined : Math.min(...offsets);
}
