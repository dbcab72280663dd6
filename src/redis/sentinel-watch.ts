import { DisciplinedClock } from "../core/clock.js";
import { Connection } from "./connection.js";
import type { SentinelPlace } from "./link-options.js";
import { LinkError } from "./link.js";
import { openConnection } from "./open-connection.js";
import { hostAndPort, type RedisAddress } from "./redis-url.js";
import { mostOf, type Sighting, sightingOf } from "./sentinel.js";

/** The master as the Sentinels see it. */
export interface Watched {
  readonly address: string;
  readonly epoch: number;
  /** "" while they have not heard from it. */
  readonly runId: string;
}

/** Redis's own default. */
const usualDownAfterMs = 30_000;

/** Asks the Sentinels again and again, over connections that stay. */
export class SentinelWatch {
  readonly #place: SentinelPlace;
  readonly #connections = new Map<RedisAddress, Connection>();
  #downAfterMs: number | undefined;
  #soonestDownMs: number | undefined;
  #closed = false;

  constructor(place: SentinelPlace) {
    this.#place = place;
  }

  /** How long a master must be silent before they take it for dead. */
  get downAfterMs(): number {
    return this.#downAfterMs ?? usualDownAfterMs;
  }

  /** The same for the least patient of them. */
  get soonestDownMs(): number {
    return this.#soonestDownMs ?? usualDownAfterMs;
  }

  /** Undefined unless a majority answers, and none of those is at work on a failover. */
  async master(timeoutMs: number): Promise<Watched | undefined> {
    const { sentinels } = this.#place;
    const majority = Math.floor(sentinels.length / 2) + 1;
    const asked = sentinels.map((sentinel) => this.#ask(sentinel, timeoutMs));
    const answers = await mostOf(asked, majority, timeoutMs, (answer) => answer !== undefined);
    const sightings = answers.filter((answer) => answer !== undefined);
    if (sightings.length < majority || sightings.some(({ flags }) => flags.includes("failover_in_progress"))) {
      return undefined;
    }
    const patience = sightings.map(({ downAfterMs }) => downAfterMs);
    this.#downAfterMs = Math.max(...patience);
    this.#soonestDownMs = Math.min(...patience);
    const newest = Math.max(...sightings.map(({ epoch }) => epoch));
    const informed = sightings.filter(({ epoch }) => epoch === newest);
    const { host, port, epoch, runId } = informed.find((sighting) => sighting.runId !== "") ?? informed[0]!;
    return { address: hostAndPort({ host, port }), epoch, runId };
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#connections.values()) connection.end();
  }

  async #ask(sentinel: RedisAddress, timeoutMs: number): Promise<Sighting | undefined> {
    const untilMs = performance.now() + timeoutMs;
    let connection = this.#connections.get(sentinel);
    if (connection?.usable !== true) {
      const opened = await openConnection(sentinel, new DisciplinedClock(), timeoutMs);
      if (!(opened instanceof Connection)) return undefined;
      connection = opened;
      this.#connections.get(sentinel)?.end();
      this.#connections.set(sentinel, connection);
    }
    const command = { name: "SENTINEL", args: ["MASTER", this.#place.master] };
    const [reply] = await connection.send([command], Math.max(1, untilMs - performance.now()));
    if (this.#closed) connection.end();
    return reply === undefined || reply instanceof LinkError ? undefined : sightingOf(reply);
  }
}
