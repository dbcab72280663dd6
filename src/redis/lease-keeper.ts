import { Worker } from "node:worker_threads";
import type { HeldLease, KeeperOptions, Lease, LeaseKeeper, TaskRef } from "../broker/broker.js";
import { HoldfastError } from "../core/errors.js";
import { threadFile } from "../core/thread-file.js";
import type { KeeperStart, KeeperTells } from "./keeper-thread.js";
import type { LinkOptions } from "./redis-url.js";

const keyOf = ({ queue, id }: TaskRef) => `${queue} ${id}`;

/** A thread that ends by itself may do so again and again. */
const restartMs = 1_000;

/** The main thread's half: it says which leases are held; the renewing happens in keeper-thread.ts. */
export class RedisLeaseKeeper implements LeaseKeeper {
  readonly #start: KeeperStart;
  readonly #options: KeeperOptions;
  readonly #onClosed: () => void;
  readonly #held = new Map<string, HeldLease>();
  #thread: Worker;
  #closing: Promise<void> | undefined;

  constructor(link: LinkOptions, options: KeeperOptions, onClosed: () => void) {
    this.#start = { link, leaseMs: options.leaseMs };
    this.#options = options;
    this.#onClosed = onClosed;
    this.#thread = this.#startThread();
  }

  hold(leases: readonly HeldLease[]): void {
    for (const held of leases) this.#held.set(keyOf(held.lease), held);
    if (leases.length > 0) this.#tell(holdMessage(leases));
  }

  drop(leases: readonly Lease[]): void {
    for (const lease of leases) {
      const key = keyOf(lease);
      if (this.#held.get(key)?.lease.token === lease.token) this.#held.delete(key);
    }
    if (leases.length > 0)
      this.#tell(JSON.stringify(["drop", leases.map(({ queue, id, token }) => [queue, id, token])]));
  }

  close(): Promise<void> {
    this.#closing ??= this.#thread.terminate().then(this.#onClosed);
    return this.#closing;
  }

  #tell(message: string): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
    this.#thread.postMessage(message);
  }

  #startThread(): Worker {
    const thread = new Worker(threadFile("redis/keeper-thread"), {
      workerData: this.#start,
      name: "holdfast lease keeper",
    });
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
    // A lease that was dropped in the meantime is gone because its task was settled.
    const lost = tells.lost
      .map(([queue, id, token]) => ({ queue, id, token }))
      .filter((lease) => this.#held.get(keyOf(lease))?.lease.token === lease.token);
    for (const lease of lost) this.#held.delete(keyOf(lease));
    if (lost.length > 0) this.#options.onLost(lost.map(({ queue, id }) => ({ queue, id })));
  }

  /** A thread that ended by itself (out of memory, say) is replaced, and told all that is held. */
  #restart(): void {
    if (this.#closing !== undefined) return;
    this.#thread = this.#startThread();
    if (this.#held.size > 0) this.#tell(holdMessage([...this.#held.values()]));
  }
}

/** One string, because cloning hundreds of small objects for another thread costs more than the renewing. */
function holdMessage(leases: readonly HeldLease[]): string {
  return JSON.stringify([
    "hold",
    leases.map(({ lease, renewUntilMs }) => [lease.queue, lease.id, lease.token, renewUntilMs]),
  ]);
}
