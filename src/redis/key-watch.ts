import type { DisciplinedClock } from "../core/clock.js";
import { pause } from "../core/loop.js";
import { Connection, type Opener } from "./connection.js";
import { type Command, LinkError, type Reply } from "./link.js";
import { isForbidden } from "./server-error.js";

export interface WatchedServer {
  readonly open: Opener;
  /** Of one command, and of connecting. */
  readonly timeoutMs: number;
  /** A node of a Cluster: each command has one key. */
  readonly oneSlotPerCommand?: boolean;
}

export interface KeyWatchEvents {
  /** Connected, for the first time or again: no key is watched. */
  readonly onConnected: () => void;
  /** These keys were changed, and are not watched any more; `undefined`: all keys may have been. */
  readonly onChanged: (keys: readonly string[] | undefined) => void;
  /** What was published on the channel. */
  readonly onMessage: (message: string) => void;
  /** The server does not let this user watch, or listen. */
  readonly onForbidden: (problem: string) => void;
  /** A key is on another node by now, or on its way there. */
  readonly onElsewhere?: () => void;
}

/** Two connections: what is read on the one is watched, and a change is told on the other, which listens. */
interface Pair {
  readonly reader: Connection;
  readonly listener: Connection;
  readonly lost: AbortController;
}

const elsewhere = new Set(["MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"]);
const watchNext: Command = { name: "CLIENT", args: ["CACHING", "YES"] };
const invalidations = "__redis__:invalidate";
/** Each of the two is asked whether it still lives, by turns. */
const pingEveryMs = 2_000;
const backoffMs = 25;
const maxBackoffMs = 250;

/**
 * Watches keys on one server by CLIENT TRACKING, each until it changes, and listens on one channel, until closed: lost
 * connections are replaced. Watching one key for one change costs the server nothing while others write, where a
 * prefix (BCAST) is compared with every key that anyone writes.
 */
export class KeyWatch {
  readonly #server: WatchedServer;
  readonly #clock: DisciplinedClock;
  readonly #channel: string;
  readonly #events: KeyWatchEvents;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  /** Resolves when it has tried to connect once. */
  readonly tried: Promise<void>;
  #pair: Pair | undefined;
  #watching = false;

  constructor(server: WatchedServer, clock: DisciplinedClock, channel: string, events: KeyWatchEvents) {
    this.#server = server;
    this.#clock = clock;
    this.#channel = channel;
    this.#events = events;
    let tried = () => {};
    this.tried = new Promise((resolve) => (tried = resolve));
    this.#running = this.#run(tried);
  }

  /** Whether keys can be watched at present. */
  get watching(): boolean {
    return this.#watching;
  }

  /**
   * Read, and watch the keys that are read, unless told not to. `undefined`: the connection is lost, and nothing is
   * watched any more.
   */
  async read(commands: readonly Command[], { watched = true } = {}): Promise<Reply[] | undefined> {
    const pair = this.#pair;
    if (pair === undefined || !this.#watching) return undefined;
    const replies = await pair.reader.send(
      watched ? commands.flatMap((command) => [watchNext, command]) : commands,
      this.#server.timeoutMs,
    );
    const failed = replies.find((reply) => reply instanceof LinkError);
    if (failed === undefined) return watched ? replies.filter((_, n) => n % 2 === 1) : replies;
    if (isForbidden(failed)) {
      this.#watching = false;
      this.#events.onForbidden(failed.problem);
    } else if (elsewhere.has(failed.code)) {
      this.#watching = false;
      this.#events.onElsewhere?.();
    } else {
      // Whatever it was, what is watched is not known.
      pair.lost.abort();
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#pair?.lost.abort();
    await this.#running;
  }

  async #run(tried: () => void): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted;) {
      const pair = await this.#open();
      tried();
      if (pair === undefined) {
        const longestMs = Math.min(backoffMs * 2 ** failures++, maxBackoffMs);
        await pause(longestMs * (0.5 + Math.random() / 2), signal);
        continue;
      }
      failures = 0;
      this.#pair = pair;
      if (!signal.aborted) {
        this.#events.onConnected();
        await this.#keepAlive(pair);
      }
      this.#pair = undefined;
      this.#watching = false;
      pair.reader.end();
      pair.listener.end();
    }
  }

  async #open(): Promise<Pair | undefined> {
    const { timeoutMs } = this.#server;
    const [listener, reader] = await Promise.all([
      this.#server.open(this.#clock, timeoutMs),
      this.#server.open(this.#clock, timeoutMs),
    ]);
    const lost = new AbortController();
    if (listener instanceof Connection && reader instanceof Connection) {
      for (const connection of [listener, reader]) connection.onEnd(() => lost.abort());
      if (await this.#begin({ listener, reader, lost })) return { listener, reader, lost };
    }
    for (const connection of [listener, reader]) if (connection instanceof Connection) connection.end();
    return undefined;
  }

  /** Answers whether the two stand. What the user may not do is told, and done without. */
  async #begin({ listener, reader, lost }: Pair): Promise<boolean> {
    const { timeoutMs } = this.#server;
    listener.onMessage((channel, message) => this.#hear(channel, message));
    const [id] = await listener.send([{ name: "CLIENT", args: ["ID"] }], timeoutMs);
    // Apart, for a user may be allowed one of them; in either, the connection is told of invalidations.
    const subscribed = await listener.send(
      [this.#channel, invalidations].map((channel) => ({ name: "SUBSCRIBE", args: [channel] })),
      timeoutMs,
    );
    const track = { name: "CLIENT", args: ["TRACKING", "ON", "REDIRECT", String(id), "OPTIN"] };
    const [tracking] = id instanceof LinkError ? [id] : await reader.send([track], timeoutMs);
    if (!listener.usable || !reader.usable || lost.signal.aborted) return false;
    const [onChannel] = subscribed;
    const listens = subscribed.find((reply) => !(reply instanceof LinkError)) ?? onChannel;
    this.#watching = ![tracking, listens].some((reply) => reply instanceof LinkError);
    for (const reply of [tracking, onChannel]) if (reply instanceof LinkError) this.#events.onForbidden(reply.problem);
    return true;
  }

  #hear(channel: string, message: Buffer | readonly Buffer[] | null): void {
    if (channel !== invalidations) this.#events.onMessage(String(message));
    else this.#events.onChanged(Array.isArray(message) ? message.map(String) : undefined);
  }

  async #keepAlive({ reader, listener, lost }: Pair): Promise<void> {
    const { signal } = lost;
    for (let turn = 0; !signal.aborted; turn++) {
      await pause(pingEveryMs * (0.9 + Math.random() / 10), signal);
      if (signal.aborted) return;
      const connection = turn % 2 === 0 ? reader : listener;
      if (connection.usable) await connection.send([{ name: "PING", args: [] }], this.#server.timeoutMs);
      if (!connection.usable) return;
    }
  }
}
