import type { Signal, Subscription } from "../broker/roles.js";
import type { DisciplinedClock } from "../core/clock.js";
import { KeyWatch, type KeyWatchEvents, type WatchedServer } from "./key-watch.js";
import { cancelChannel, pausedKey, pendingKey } from "./keys.js";
import type { Command, Reply } from "./link.js";

/** Keys read by one command. */
const keysPerRead = 500;
/** How far wakes are spread when others were quicker; with many idle workers, the quickest is still quick. */
const firstJitterMs = 0.5;
const longestJitterMs = 20;

/**
 * Hears of tasks by watching the keys `pending` and `paused` of each queue: whoever writes them, and however, the server
 * tells. A change is told once; to watch a key again is to read it, which also says whether something is there.
 */
export class RedisSubscription implements Subscription {
  readonly #watch: KeyWatch;
  readonly #listener: (signal: Signal) => void;
  readonly #queues: readonly string[];
  readonly #onClosed: () => void;
  readonly #apart: boolean;
  readonly #queueOf: ReadonlyMap<string, { readonly queue: string; readonly isPause: boolean }>;
  /** Queues whose keys are not watched. */
  readonly #unwatched = new Set<string>();
  readonly #pauseUnwatched = new Set<string>();
  /** What comes to these is of no interest, until they are paused no more. */
  readonly #paused = new Set<string>();
  #on = true;
  #connectedBefore = false;
  #looking = false;
  #lookAgain = false;
  /** Queues of which a wake was told, and the listener has not said yet what it found; `undefined`: any queue. */
  readonly #told = new Set<string | undefined>();
  #jitterMs = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #later = new Set<string>();

  constructor(
    server: WatchedServer,
    clock: DisciplinedClock,
    queues: readonly string[],
    listener: (signal: Signal) => void,
    events: Pick<KeyWatchEvents, "onForbidden" | "onElsewhere"> & { readonly onClosed: () => void },
  ) {
    this.#onClosed = events.onClosed;
    this.#apart = server.oneSlotPerCommand === true;
    this.#queues = queues;
    this.#listener = listener;
    this.#queueOf = new Map(
      queues.flatMap((queue) =>
        [pendingKey(queue), pausedKey(queue)].map((key, n) => [key, { queue, isPause: n === 1 }] as const),
      ),
    );
    this.#watch = new KeyWatch(server, clock, cancelChannel, {
      onConnected: () => void this.#connected(),
      onChanged: (keys) => this.#changed(keys),
      onMessage: (id) => listener({ kind: "cancel", id }),
      onForbidden: events.onForbidden,
      ...(events.onElsewhere === undefined ? {} : { onElsewhere: events.onElsewhere }),
    });
  }

  /** Resolves when it listens, or could not connect at the first try. */
  get tried(): Promise<void> {
    return this.#watch.tried;
  }

  get listening(): boolean {
    return this.#watch.watching;
  }

  watch(on: boolean): void {
    if (this.#told.size > 0) this.#learn(!on);
    this.#told.clear();
    this.#on = on;
    if (on) void this.#look();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#on = false;
    clearTimeout(this.#timer);
    await this.#watch.close();
    this.#onClosed();
  }

  async #connected(): Promise<void> {
    this.#forget();
    const again = this.#connectedBefore;
    this.#connectedBefore = true;
    await this.#look();
    // Cancellations may have been missed, too.
    if (again && this.#on) this.#wake(undefined);
  }

  #forget(): void {
    for (const queue of this.#queues) {
      this.#unwatched.add(queue);
      this.#pauseUnwatched.add(queue);
    }
  }

  #changed(keys: readonly string[] | undefined): void {
    if (keys === undefined) this.#forget();
    const changed = (keys ?? []).flatMap((key) => this.#queueOf.get(key) ?? []);
    for (const { queue, isPause } of changed) (isPause ? this.#pauseUnwatched : this.#unwatched).add(queue);
    if (!this.#on) return;
    const pending = changed.filter(({ queue, isPause }) => !isPause && !this.#paused.has(queue));
    for (const { queue } of pending) {
      if (this.#jitterMs > 0) this.#wakeLater(queue);
      else this.#wake(queue);
    }
    if (keys === undefined || changed.some(({ isPause }) => isPause)) void this.#look();
  }

  /** Others who were told the same may be there before us. */
  #wakeLater(queue: string): void {
    this.#later.add(queue);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#wakeIfThere([...this.#later]);
      this.#later.clear();
    }, Math.random() * this.#jitterMs);
  }

  async #wakeIfThere(queues: readonly string[]): Promise<void> {
    // Not watched: if something is there we shall lease it ourselves, and would be told of that.
    const replies = await this.#watch.read(this.#reading("EXISTS", queues.map(pendingKey)), { watched: false });
    if (replies === undefined || !this.#on) return;
    if (replies.some((count) => Number(count) > 0)) for (const queue of queues) this.#wake(queue);
    else await this.#look();
  }

  /** A wake was worth it, or in vain. */
  #learn(found: boolean): void {
    if (found) this.#jitterMs = this.#jitterMs < firstJitterMs ? 0 : this.#jitterMs / 3;
    else this.#jitterMs = Math.min(longestJitterMs, Math.max(firstJitterMs, this.#jitterMs * 1.5));
  }

  #wake(queue: string | undefined): void {
    // It has not looked yet; or it has, and that is what is told.
    if (this.#isTold(queue)) return;
    this.#told.add(queue);
    this.#listener({ kind: "wake", queue });
  }

  #isTold(queue: string | undefined): boolean {
    return this.#told.has(queue) || this.#told.has(undefined);
  }

  /** Watches what is not watched; tells where something is. */
  async #look(): Promise<void> {
    this.#lookAgain = true;
    if (this.#looking) return;
    this.#looking = true;
    while (this.#lookAgain && this.#on) {
      this.#lookAgain = false;
      await this.#watchSome();
    }
    this.#looking = false;
  }

  async #watchSome(): Promise<void> {
    const pauses = some(this.#pauseUnwatched);
    const queues = some(this.#unwatched, (queue) => !this.#paused.has(queue) && !this.#isTold(queue));
    if (pauses.length + queues.length === 0 || !this.#watch.watching) return;
    for (const queue of pauses) this.#pauseUnwatched.delete(queue);
    for (const queue of queues) this.#unwatched.delete(queue);
    const first = this.#reading("MGET", pauses.map(pausedKey));
    const replies = await this.#watch.read([...first, ...this.#reading("EXISTS", queues.map(pendingKey))]);
    // Lost: once connected again, all are to be watched anew.
    if (replies === undefined) return;
    this.#lookAgain = true;
    const stopped = this.#learnPauses(pauses, (replies.slice(0, first.length) as Reply[][]).flat());
    if (!replies.slice(first.length).some((count) => Number(count) > 0)) return;
    const open = queues.filter((queue) => !this.#paused.has(queue));
    // What is there may be in those that turned out to be paused: without them the answer will be of use. And a listener
    // that is busy again by now is to be told of it when it is not.
    if (!this.#on || stopped.some((queue) => queues.includes(queue)))
      for (const queue of open) this.#unwatched.add(queue);
    else for (const queue of open.length === this.#queues.length ? [undefined] : open) this.#wake(queue);
  }

  /** As few commands as these keys take, which may be none. */
  #reading(name: "MGET" | "EXISTS", keys: readonly string[]): Command[] {
    if (this.#apart) return keys.map((key) => ({ name, args: [key] }));
    return keys.length === 0 ? [] : [{ name, args: keys }];
  }

  /** Answers which turned out to be paused. */
  #learnPauses(queues: readonly string[], values: readonly Reply[]): string[] {
    const paused = queues.filter((_, n) => values[n] !== null);
    for (const queue of queues) {
      // What came while it was paused was not watched.
      if (this.#paused.delete(queue)) this.#unwatched.add(queue);
    }
    for (const queue of paused) this.#paused.add(queue);
    return paused;
  }
}

function some(queues: ReadonlySet<string>, wanted: (queue: string) => boolean = () => true): string[] {
  const found: string[] = [];
  for (const queue of queues) {
    if (wanted(queue)) found.push(queue);
    if (found.length === keysPerRead) break;
  }
  return found;
}
