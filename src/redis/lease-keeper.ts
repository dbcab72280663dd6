import { Worker } from "node:worker_threads";
import type { HeldLease, KeeperOptions, Lease, LeaseKeeper, LostLease } from "../broker/broker.js";
import { HoldfastError } from "../core/errors.js";
import { threadFile } from "../core/thread-file.js";
import { HoldLog } from "./hold-log.js";
import type { KeeperHears, KeeperStart, KeeperTells, LeaseGroup } from "./keeper-thread.js";
import type { LinkOptions } from "./link-options.js";
import { answerFor, toSend } from "./sent-settings.js";

/** What one request got, and is still held of it: by queue, then by id. */
type Batch = Map<string, Map<string, HeldLease>>;

/** A thread that ends by itself may do so again and again. */
const restartMs = 1_000;
/** What is held and dropped is told together, after this long: most tasks are settled before. */
const tellEveryMs = 250;

/** The main thread's half: it says which leases are held; the renewing happens in keeper-thread.ts. */
export class RedisLeaseKeeper implements LeaseKeeper {
  readonly #link: LinkOptions;
  readonly #options: KeeperOptions;
  readonly #onClosed: () => void;
  /** By token. */
  readonly #batches = new Map<string, Batch>();
  /** Tokens that the thread knows, those of which something was dropped since, and those that it only finds in the log. */
  readonly #told = new Set<string>();
  readonly #dropped = new Set<string>();
  readonly #untold = new Set<string>();
  readonly #log = new HoldLog();
  #tellTimer: NodeJS.Timeout | undefined;
  #thread: Worker;
  #closing: Promise<void> | undefined;

  constructor(link: LinkOptions, options: KeeperOptions, onClosed: () => void) {
    this.#link = link;
    this.#options = options;
    this.#onClosed = onClosed;
    this.#thread = this.#startThread();
  }

  hold(leases: readonly HeldLease[]): void {
    if (leases.length === 0) return;
    const finite = leases.map(bounded);
    for (const held of finite) {
      const { token, queue, id } = held.lease;
      inMap(inMap<Batch>(this.#batches, token), queue).set(id, held);
      this.#untold.add(token);
    }
    // Written down before any of their handlers starts, for one may block this thread at once.
    if (this.#log.append(JSON.stringify(groupsOf(finite)))) this.#tellSoon();
    else this.#tellAll();
  }

  drop(leases: readonly Lease[]): void {
    for (const lease of leases) if (this.#forget(lease) && this.#told.has(lease.token)) this.#dropped.add(lease.token);
    if (this.#dropped.size > 0) this.#tellSoon();
  }

  close(): Promise<void> {
    clearTimeout(this.#tellTimer);
    this.#closing ??= this.#thread.terminate().then(this.#onClosed);
    return this.#closing;
  }

  /** Answers whether it was held. */
  #forget({ token, queue, id }: LostLease): boolean {
    const batch = this.#batches.get(token);
    const held = batch?.get(queue);
    if (batch === undefined || held?.delete(id) !== true) return false;
    if (held.size === 0) batch.delete(queue);
    if (batch.size === 0) this.#batches.delete(token);
    return true;
  }

  #tellSoon(): void {
    this.#tellTimer ??= setTimeout(() => this.#tellAll(), tellEveryMs).unref();
  }

  /** Of a batch that is still held in part the thread is told anew what is left. */
  #tellAll(): void {
    clearTimeout(this.#tellTimer);
    this.#tellTimer = undefined;
    const changed = new Set([...this.#dropped, ...this.#untold]);
    const drop = [...changed].filter((token) => this.#told.delete(token));
    const held = [...changed].flatMap((token) => heldOf(this.#batches.get(token)));
    for (const { lease } of held) this.#told.add(lease.token);
    if (drop.length + held.length > 0) this.#tell({ drop, hold: groupsOf(held) });
    this.#dropped.clear();
    this.#untold.clear();
    this.#log.clear();
  }

  /** As one string: to clone hundreds of small objects for another thread costs more than the renewing. */
  #tell(message: KeeperHears): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
    this.#thread.postMessage(JSON.stringify(message));
  }

  #startThread(): Worker {
    const file = threadFile("redis/keeper-thread");
    const start: KeeperStart = {
      link: toSend(this.#link.settings),
      leaseMs: this.#options.leaseMs,
      log: this.#log.shared,
    };
    const thread = new Worker(file, { workerData: start, name: "holdfast lease keeper" });
    // Leases alone keep no process alive.
    thread.unref();
    thread.on("message", (tells: KeeperTells) => this.#listen(tells));
    thread.on("error", (error) => this.#options.onError(error));
    thread.on("exit", () => setTimeout(() => this.#restart(), restartMs).unref());
    return thread;
  }

  #listen(tells: KeeperTells): void {
    if ("ask" in tells) {
      const { settings, timeoutMs } = this.#link;
      void answerFor(settings, tells.ask, timeoutMs).then((answer) => this.#tell(answer));
      return;
    }
    if ("problem" in tells) {
      this.#options.onError(new HoldfastError("BROKER_UNAVAILABLE", { ...tells, outcome: "unknown", taskIds: [] }));
      return;
    }
    // One that was dropped in the meantime is gone because its task was settled.
    const lost = tells.lost.map(([queue, id, token]) => ({ queue, id, token })).filter((lease) => this.#forget(lease));
    if (lost.length > 0) this.#options.onLost(lost);
    const cancelled = tells.cancelled
      .map(([queue, id, token, how]) => ({ queue, id, token, how }))
      .filter(({ queue, id, token }) => this.#batches.get(token)?.get(queue)?.has(id));
    if (cancelled.length > 0) this.#options.onCancelled?.(cancelled);
  }

  /** A thread that ended by itself (out of memory, say) is replaced, and told all that is held. */
  #restart(): void {
    if (this.#closing !== undefined) return;
    this.#thread = this.#startThread();
    this.#told.clear();
    for (const token of this.#batches.keys()) this.#untold.add(token);
    this.#tellAll();
  }
}

const heldOf = (batch: Batch | undefined) => [...(batch?.values() ?? [])].flatMap((held) => [...held.values()]);

/** The map at a key, made when it is missing. */
function inMap<M extends Map<string, unknown>>(maps: Map<string, M>, key: string): M {
  let map = maps.get(key);
  if (map === undefined) maps.set(key, (map = new Map() as M));
  return map;
}

/** JSON knows no infinity: it would be null, which is past every time. */
const bounded = (held: HeldLease): HeldLease =>
  Number.isFinite(held.renewUntilMs) ? held : { ...held, renewUntilMs: Number.MAX_SAFE_INTEGER };

/** Neighbours that differ in their id alone go together, as most leases of one request do. */
function groupsOf(leases: readonly HeldLease[]): LeaseGroup[] {
  const groups: LeaseGroup[] = [];
  for (const { lease, renewUntilMs } of leases) {
    const { token, queue, id } = lease;
    const last = groups.at(-1);
    if (last?.token === token && last.queue === queue && last.renewUntilMs === renewUntilMs) last.ids.push(id);
    else groups.push({ token, queue, renewUntilMs, ids: [id] });
  }
  return groups;
}
