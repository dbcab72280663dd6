import type { Incarnation } from "../broker/incarnation.js";
import { ClusterLooks } from "./cluster-looks.js";
import type { LinkOptions } from "./link-options.js";
import type { RedisLink, RunOptions } from "./link.js";
import { SentinelWatch } from "./sentinel-watch.js";
import { type Found, lookAtServer, type ServerLook } from "./server-look.js";

export interface IncarnationEvents {
  /** Other data than before, or data that may have lost something. */
  onChanged(queues: readonly string[], changed: readonly string[]): void;
  onLost(problem: string): void;
}

/** A master that has been given up may go on taking tasks; measured: up to 11 s, with Sentinels that need 1.5 s to see it. */
const shortestFailoverTrustMs = 20_000;
/** How much longer than it takes to see that a master is gone, its clients may write to it. */
const marginMs = 10_000;
/** A restart takes no more than what was not on the disk, and a look that sees it. */
const restartTrustMs = 3_000;
/** A change from this many keys to a tenth of them is a loss. */
const manyKeys = 100;

/** Tells which data queues are on, for one server, for the master behind Sentinels, or for a Cluster. */
export class Incarnations {
  readonly #link: RedisLink;
  readonly #events: IncarnationEvents;
  readonly #sentinels: SentinelWatch | undefined;
  readonly #cluster: ClusterLooks | undefined;
  readonly #last = new Map<string, Found>();
  #server: ServerLook | undefined;

  constructor(link: RedisLink, options: LinkOptions, events: IncarnationEvents) {
    this.#link = link;
    this.#events = events;
    this.#sentinels = options.kind === "sentinel" ? new SentinelWatch(options) : undefined;
    this.#cluster = options.kind === "cluster" ? new ClusterLooks(link) : undefined;
  }

  /** Until something was seen, the longest that it may be with usual settings. */
  get trustAfterMs(): number {
    const failoverMs = (noticedMs: number) => Math.max(shortestFailoverTrustMs, noticedMs + marginMs);
    if (this.#cluster !== undefined) return failoverMs(this.#cluster.nodeTimeoutMs);
    if (this.#sentinels !== undefined) return failoverMs(2 * this.#sentinels.downAfterMs);
    if (this.#server === undefined) return shortestFailoverTrustMs;
    const restartMs = restartTrustMs + this.#server.unsyncedMs;
    // Who has replicas may make one of them the master, by means that we do not see.
    return this.#server.replicas > 0 ? Math.max(shortestFailoverTrustMs, restartMs) : restartMs;
  }

  async of(queues: readonly string[], withinMs: number): Promise<(Incarnation | undefined)[]> {
    const options = { timeoutMs: withinMs, insist: false };
    const found =
      this.#cluster === undefined ? await this.#one(queues, options) : await this.#cluster.of(queues, options);
    this.#compare(queues, found);
    return found.map((one) => {
      if (one === undefined) return undefined;
      const { persistence, savedUntilMs } = one.server;
      return { id: Object.values(one.traits).join(" "), persistence, savedUntilMs };
    });
  }

  close(): void {
    this.#sentinels?.close();
  }

  /** All queues are on the same. */
  async #one(queues: readonly string[], options: RunOptions): Promise<(Found | undefined)[]> {
    const [server, watched] = await Promise.all([
      lookAtServer(this.#link, options),
      this.#sentinels === undefined ? undefined : this.#sentinels.master(options.timeoutMs!),
    ]);
    const { runId, replicationId, mark } = server;
    // Behind Sentinels it must be the very server that they speak of.
    const elsewhere = this.#sentinels !== undefined && watched?.runId !== runId;
    if (!server.serves || elsewhere) return queues.map(() => undefined);
    const before = this.#server;
    this.#server = server;
    if (before !== undefined) this.#compareData(before, server);
    const place = watched === undefined ? {} : { address: watched.address, epoch: String(watched.epoch) };
    const found = { traits: { "run id": runId, "replication id": replicationId, ...place, data: mark }, server };
    return queues.map(() => found);
  }

  #compareData(before: ServerLook, now: ServerLook): void {
    if (before.mark !== "" && now.mark !== "" && now.mark !== before.mark) {
      this.#events.onLost(`it has other data: ${now.keys} keys, there were ${before.keys}`);
    } else if (now.runId !== before.runId && before.keys >= manyKeys && now.keys < before.keys / 10) {
      this.#events.onLost(`it came back with ${now.keys} keys, there were ${before.keys}`);
    }
  }

  #compare(queues: readonly string[], found: readonly (Found | undefined)[]): void {
    const changes = new Map<string, string[]>();
    for (const [n, queue] of queues.entries()) {
      const now = found[n];
      if (now === undefined) continue;
      const before = this.#last.get(queue);
      this.#last.set(queue, now);
      if (before === undefined) continue;
      const changed = Object.keys(now.traits).filter((name) => now.traits[name] !== before.traits[name]);
      if (changed.length === 0) continue;
      const key = changed.join(", ");
      changes.set(key, [...(changes.get(key) ?? []), queue]);
    }
    for (const [changed, concerned] of changes) this.#events.onChanged(concerned, changed.split(", "));
  }
}
