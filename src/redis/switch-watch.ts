import { DisciplinedClock } from "../core/clock.js";
import { loop } from "../core/loop.js";
import { Connection } from "./connection.js";
import { LinkError } from "./link.js";
import type { SentinelPlace } from "./link-options.js";
import { openConnection } from "./open-connection.js";
import { mostOf, type Sighting, sightingOf } from "./sentinel.js";

const everyMs = 1_000;
const patienceMs = 1_000;
const watches = new WeakMap<SentinelPlace, SwitchWatch>();

/**
 * Ends connections to a master when the Sentinels have made another: one that was healthy goes on answering for ten
 * seconds, until they tell it, and what it takes meanwhile is lost. A majority is asked, by the rule of sentinel.ts.
 */
export class SwitchWatch {
  readonly #place: SentinelPlace;
  readonly #followed = new Set<Connection>();
  /** To each Sentinel, kept open. */
  readonly #lines = new Map<number, Connection>();
  #over: AbortController | undefined;

  /** One for all connections by the same options. */
  static of(place: SentinelPlace): SwitchWatch {
    const watch = watches.get(place) ?? new SwitchWatch(place);
    watches.set(place, watch);
    return watch;
  }

  private constructor(place: SentinelPlace) {
    this.#place = place;
  }

  /** As long as it lasts. */
  follow(connection: Connection): void {
    this.#followed.add(connection);
    connection.onEnd(() => this.#leave(connection));
    if (!connection.usable) return this.#leave(connection);
    if (this.#over !== undefined) return;
    const over = new AbortController();
    this.#over = over;
    void loop(() => this.#look(), { everyMs, signal: over.signal, onError: () => undefined });
  }

  #leave(connection: Connection): void {
    this.#followed.delete(connection);
    if (this.#followed.size > 0) return;
    this.#over?.abort();
    this.#over = undefined;
    for (const line of this.#lines.values()) line.end();
    this.#lines.clear();
  }

  async #look(): Promise<void> {
    const { sentinels } = this.#place;
    const majority = Math.floor(sentinels.length / 2) + 1;
    const asked = sentinels.map((_, n) => this.#ask(n));
    const answers = await mostOf(asked, majority, patienceMs, (answer) => answer !== undefined);
    const sightings = answers.filter((answer) => answer !== undefined);
    if (sightings.length < majority) return;
    const { host, port } = sightings.reduce((newest, next) => (next.epoch > newest.epoch ? next : newest));
    for (const connection of this.#followed) {
      const { address } = connection;
      if (address.host !== host || address.port !== port) connection.end();
    }
  }

  async #ask(n: number): Promise<Sighting | undefined> {
    const line = await this.#line(n);
    if (line === undefined) return undefined;
    const [reply] = await line.send([{ name: "SENTINEL", args: ["MASTER", this.#place.master] }], patienceMs);
    return reply instanceof LinkError ? undefined : sightingOf(reply!);
  }

  async #line(n: number): Promise<Connection | undefined> {
    const present = this.#lines.get(n);
    if (present?.usable === true) return present;
    present?.end();
    this.#lines.delete(n);
    const opened = await openConnection(this.#place.sentinels[n]!, new DisciplinedClock(), patienceMs);
    if (!(opened instanceof Connection)) return undefined;
    // Nobody may be left to watch for, or another look may have been quicker.
    if (this.#over === undefined || this.#lines.has(n)) opened.end();
    else this.#lines.set(n, opened);
    return this.#lines.get(n);
  }
}
