import type { DataLoss, Incarnation } from "../broker/incarnation.js";
import { ClusterLooks } from "./cluster-looks.js";
import { DataMarks, type Mark, markFrom } from "./data-marks.js";
import { dataKey } from "./keys.js";
import type { LinkOptions } from "./link-options.js";
import { LinkError, type RedisLink, type RunOptions } from "./link.js";
import { aloneAfterMs, marginMs, Replicas, usualReplTimeoutMs } from "./replicas.js";
import { Saves } from "./saves.js";
import { SentinelWatch } from "./sentinel-watch.js";
import { type Found, lookAtServer, type ServerLook } from "./server-look.js";

export interface IncarnationEvents {
  onChanged(change: Change): void;
  onLost(loss: DataLoss, on: On): void;
  /** This user may not ask a Cluster who has which slots; told with each look. */
  onForbidden(problem: string): void;
}

/** What the data are on. */
export interface On {
  readonly appendOnly: boolean;
  /** "" where it is hidden. */
  readonly incarnation: string;
}

/** Other data than before, or data that may have lost something. */
export interface Change extends On {
  readonly queues: readonly string[];
  /** What tells them from those before, by name. */
  readonly changed: readonly string[];
  /** What was taken before this time is there all the same, Unix ms; undefined: that cannot be told. */
  readonly keptUntilMs: number | undefined;
}

/** A master that has been given up may go on taking tasks; measured: up to 11 s, with Sentinels that need 1.5 s to see it. */
const shortestFailoverTrustMs = 20_000;
/** Who makes a replica the master by hand looks at how far it has got, or does so at once. */
const byHandMs = 60_000;
/** A restart takes no more than what was not on the disk, and a look that sees it. */
const restartTrustMs = 3_000;

/** Tells which data queues are on, for one server, for the master behind Sentinels, or for a Cluster. */
export class Incarnations {
  readonly #link: RedisLink;
  readonly #events: IncarnationEvents;
  readonly #sentinels: SentinelWatch | undefined;
  readonly #cluster: ClusterLooks | undefined;
  readonly #marks = new DataMarks();
  /** By queue; where all are on the same server, one for all of them. */
  readonly #last = new Map<string, Found>();
  readonly #before = { saves: new Saves(), replicas: new Replicas(() => this.#aloneAfterMs) };
  #server: ServerLook | undefined;
  /** What a look found that began before another one is no news any more. */
  #begun = 0;
  #compared = 0;

  constructor(link: RedisLink, options: LinkOptions, events: IncarnationEvents) {
    this.#link = link;
    this.#events = events;
    this.#sentinels = options.kind === "sentinel" ? new SentinelWatch(options) : undefined;
    this.#cluster =
      options.kind === "cluster"
        ? new ClusterLooks(link, this.#marks, (problem) => events.onForbidden(problem))
        : undefined;
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

  /** `settings`: how the server saves, too; what an incarnation says of that is a guess without them. */
  async of(queues: readonly string[], withinMs: number, settings = true): Promise<(Incarnation | undefined)[]> {
    const options = { timeoutMs: withinMs, insist: false };
    const begun = (this.#begun += 1);
    const { looks, servers } = await this.#look(queues, settings, options);
    if (begun > this.#compared) {
      this.#compared = begun;
      this.#compare(looks);
      for (const server of servers) this.#compareData(server);
    }
    const byQueue = new Map(looks.flatMap((look) => look.queues.map((queue) => [queue, look.now] as const)));
    return queues.map((queue) => {
      const found = byQueue.get(queue);
      if (found === undefined) return undefined;
      const { persistence, savedUntilMs } = found.server;
      const id = Object.values(found.traits).join(" ");
      return { id, persistence, savedUntilMs, replicas: this.#replicasOf(found.server) };
    });
  }

  /** Where a replica may take over: how long one is to be reckoned with that does not follow. */
  get #aloneAfterMs(): number {
    if (this.#cluster !== undefined) return this.#cluster.aloneAfterMs;
    if (this.#sentinels === undefined) return byHandMs;
    return aloneAfterMs(this.#sentinels.downAfterMs, this.#server?.replTimeoutMs ?? usualReplTimeoutMs);
  }

  #replicasOf({ replicatedUntilMs: haveUntilMs, mayBeReplaced }: ServerLook): Incarnation["replicas"] {
    // Sentinels are there for the sake of replicas, also when none follows at present.
    if (this.#sentinels === undefined && !mayBeReplaced) return undefined;
    return { haveUntilMs, aloneAfterMs: this.#aloneAfterMs };
  }

  async #look(queues: readonly string[], settings: boolean, options: RunOptions): Promise<Looked> {
    if (this.#cluster === undefined) {
      const now = await this.#one(settings, options);
      return { looks: [{ place: "", queues, now }], servers: now === undefined ? [] : [now.server] };
    }
    const { found, servers } = await this.#cluster.of(queues, settings, options);
    return { looks: queues.map((queue, n) => ({ place: queue, queues: [queue], now: found[n] })), servers };
  }

  /**
   * A look at the marks alone, on the nodes that are there. False: the data are not what they were; `of` tells more.
   * @throws BROKER_UNAVAILABLE
   */
  async areSame(withinMs: number): Promise<boolean> {
    const keys = this.#cluster === undefined ? [dataKey] : this.#marks.keys;
    const marks = await this.#lookAtMarks(keys, withinMs, true);
    const same = marks.every((mark) => this.#marks.isSame(mark));
    if (same) for (const mark of marks) this.#marks.renew(mark);
    return same;
  }

  /** All that can be told where the server does not say who it is. @throws BROKER_UNAVAILABLE */
  async marksAlone(withinMs: number): Promise<void> {
    const keys = (await this.#cluster?.markKeys()) ?? [dataKey];
    for (const mark of await this.#lookAtMarks(keys, withinMs)) {
      const loss = this.#marks.lossBy({ mark, keys: 0 });
      if (loss !== undefined) this.#events.onLost(loss, { appendOnly: false, incarnation: "" });
    }
  }

  async #lookAtMarks(keys: readonly string[], withinMs: number, inPart = false): Promise<Mark[]> {
    const nowMs = this.#link.clock.nowMs();
    const calls = keys.map((key) => this.#marks.call(key, nowMs));
    const replies = await this.#link.run(calls, { timeoutMs: withinMs, insist: false });
    return replies.flatMap((reply, n) =>
      inPart && reply instanceof LinkError ? [] : (markFrom(keys[n]!, reply, this.#link.label) ?? []),
    );
  }

  close(): void {
    this.#sentinels?.close();
  }

  async #one(settings: boolean, options: RunOptions): Promise<Found | undefined> {
    const [server, watched] = await Promise.all([
      lookAtServer(this.#link, this.#marks, this.#before, settings, options),
      this.#sentinels === undefined ? undefined : this.#sentinels.master(options.timeoutMs!),
    ]);
    const { runId, replicationId, mark } = server;
    // Behind Sentinels it must be the very server that they speak of.
    const elsewhere = this.#sentinels !== undefined && watched?.runId !== runId;
    if (!server.serves || elsewhere) return undefined;
    if (settings) this.#server = server;
    const place = watched === undefined ? {} : { address: watched.address, epoch: String(watched.epoch) };
    return { traits: { "run id": runId, "replication id": replicationId, ...place, data: mark?.id ?? "" }, server };
  }

  #compare(looks: Looked["looks"]): void {
    const changes = new Map<string, Change>();
    for (const { place, queues, now } of looks) {
      if (now === undefined) continue;
      const before = this.#last.get(place);
      this.#last.set(place, now);
      if (before === undefined) continue;
      const changed = Object.keys(now.traits).filter((name) => now.traits[name] !== before.traits[name]);
      if (changed.length === 0) continue;
      const { mark } = now.server;
      const keptUntilMs = changed.includes("data") ? undefined : mark?.foundMs;
      const key = changed.join(", ");
      const others = changes.get(key)?.queues ?? [];
      changes.set(key, { queues: [...others, ...queues], changed, keptUntilMs, ...on(now.server) });
    }
    for (const change of changes.values()) this.#events.onChanged(change);
  }

  #compareData(server: ServerLook): void {
    const { mark, keys } = server;
    const loss = mark && this.#marks.lossBy({ mark, keys });
    if (loss !== undefined) this.#events.onLost(loss, on(server));
  }
}

const on = ({ persistence, runId }: ServerLook): On => ({ appendOnly: persistence === "aof", incarnation: runId });

interface Looked {
  readonly looks: readonly {
    readonly place: string;
    readonly queues: readonly string[];
    readonly now: Found | undefined;
  }[];
  readonly servers: readonly ServerLook[];
}
