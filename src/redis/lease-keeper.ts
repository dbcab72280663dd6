import { Worker } from "node:worker_threads";
import type { HeldLease, KeeperOptions, Lease, LeaseKeeper, TaskRef } from "../broker/broker.js";
import { HoldfastError } from "../core/errors.js";
import { threadFile } from "../core/thread-file.js";
import type { KeeperHears, KeeperStart, KeeperTells, LeaseGroup } from "./keeper-thread.js";
import type { LinkOptions } from "./redis-url.js";

const keyOf = ({ queue, id }: TaskRef) => `${queue} ${id}`;

/** A thread that ends by itself may do so again and again. */
const restartMs = 1_000;
/** Dropped leases are told together, after this long: a renewal too many is refused, and does no harm. */
const tellDroppedMs = 500;

/** The main thread's half: it says which leases are held; the renewing happens in keeper-thread.ts. */
export class RedisLeaseKeeper implements LeaseKeeper {
  readonly #start: KeeperStart;
  readonly #options: KeeperOptions;
  readonly #onClosed: () => void;
  /** By token: what one request got, and is still held of it. */
  readonly #batches = new Map<string, Map<string, HeldLease>>();
  readonly #dropped = new Set<string>();
  #dropTimer: NodeJS.Timeout | undefined;
  #thread: Worker;
  #closing: Promise<void> | undefined;

  constructor(link: LinkOptions, options: KeeperOptions, onClosed: () => void) {
    this.#start = { link, leaseMs: options.leaseMs };
    this.#options = options;
    this.#onClosed = onClosed;
    this.#thread = this.#startThread();
  }

  hold(leases: readonly HeldLease[]): void {
    if (leases.length === 0) return;
    for (const held of leases) {
      const batch = this.#batches.get(held.lease.token);
      if (batch === undefined) this.#batches.set(held.lease.token, new Map([[keyOf(held.lease), held]]));
      else batch.set(keyOf(held.lease), held);
    }
    this.#tell({ drop: [], hold: groupsOf(leases) });
  }

  drop(leases: readonly Lease[]): void {
    for (const lease of leases) if (this.#forget(lease)) this.#dropped.add(lease.token);
    if (this.#dropped.size > 0) this.#dropTimer ??= setTimeout(() => this.#tellDropped(), tellDroppedMs).unref();
  }

  close(): Promise<void> {
    clearTimeout(this.#dropTimer);
    this.#closing ??= this.#thread.terminate().then(this.#onClosed);
    return this.#closing;
  }

  /** Answers whether it was held. */
  #forget(lease: TaskRef & { readonly token: string }): boolean {
    const batch = this.#batches.get(lease.token);
    if (batch === undefined || !batch.delete(keyOf(lease))) return false;
    if (batch.size === 0) this.#batches.delete(lease.token);
    return true;
  }

  /** Of a batch that is still held in part the thread is told anew what is left. */
  #tellDropped(): void {
    this.#dropTimer = undefined;
    const left = [...this.#dropped].flatMap((token) => [...(this.#batches.get(token)?.values() ?? [])]);
    this.#tell({ drop: [...this.#dropped], hold: groupsOf(left) });
    this.#dropped.clear();
  }

  /** As one string: to clone hundreds of small objects for another thread costs more than the renewing. */
  #tell(message: KeeperHears): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
    this.#thread.postMessage(JSON.stringify(message));
  }

  #startThread(): Worker {
    const file = threadFile("redis/keeper-thread");
    const thread = new Worker(file, { workerData: this.#start, name: "holdfast lease keeper" });
    // Leases alone keep no process alive.
    thread.unref();
    thread.on("message", (tells: KeeperTells) => this.#listen(tells));
    thread.on("error", (error) => this.#options.onError(error));
    thread.on("exit", () => setTimeout(() => this.#restart(), restartMs).unref());
    return thread;
  }

  #listen(tells: KeeperTells): void {
    if ("problem" in tells) {
      this.#options.onError(new HoldfastError("BROKER_UNAVAILABLE", { ...tells, outcome: "unknown", taskIds: [] }));
      return;
    }
    // One that was dropped in the meantime is gone because its task was settled.
    const lost = tells.lost.map(([queue, id, token]) => ({ queue, id, token })).filter((lease) => this.#forget(lease));
    if (lost.length > 0) this.#options.onLost(lost.map(({ queue, id }) => ({ queue, id })));
  }

  /** A thread that ended by itself (out of memory, say) is replaced, and told all that is held. */
  #restart(): void {
    if (this.#closing !== undefined) return;
    this.#thread = this.#startThread();
    const held = [...this.#batches.values()].flatMap((batch) => [...batch.values()]);
    if (held.length > 0) this.#tell({ drop: [], hold: groupsOf(held) });
  }
}

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
