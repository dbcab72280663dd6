import type { HeldLease, KeeperOptions, Lease, LeaseKeeper } from "../broker/broker.js";
import type { HoldfastError } from "../core/errors.js";
import type { CancelledLease } from "./renew.js";
import { leaseKey } from "./renewer.js";
import type { ToKeeper } from "./thread-protocol.js";

type Order = (order: ToKeeper) => void;

/** What a worker holds of its keeper; the work is done by a Renewer in the store's thread. */
export class EmbeddedKeeper implements LeaseKeeper {
  readonly #number: number;
  readonly #options: KeeperOptions;
  readonly #link: { readonly order: Order; readonly forget: () => void };
  readonly #held = new Map<string, HeldLease>();

  constructor(number: number, options: KeeperOptions, link: { readonly order: Order; readonly forget: () => void }) {
    this.#number = number;
    this.#options = options;
    this.#link = link;
    this.introduce(link.order);
  }

  hold(leases: readonly HeldLease[]): void {
    for (const held of leases) this.#held.set(leaseKey(held.lease), held);
    this.#link.order({ to: "keeper", keeper: this.#number, act: "hold", leases });
  }

  drop(leases: readonly Lease[]): void {
    for (const lease of leases) this.#held.delete(leaseKey(lease));
    this.#link.order({ to: "keeper", keeper: this.#number, act: "drop", leases });
  }

  async close(): Promise<void> {
    this.#held.clear();
    this.#link.order({ to: "keeper", keeper: this.#number, act: "close" });
    this.#link.forget();
  }

  /** To a thread that does not know this keeper yet: a new one has to renew what the last one renewed. */
  introduce(order: Order): void {
    order({ to: "keeper", keeper: this.#number, act: "open", leaseMs: this.#options.leaseMs });
    if (this.#held.size > 0)
      order({ to: "keeper", keeper: this.#number, act: "hold", leases: [...this.#held.values()] });
  }

  /** Of a lease that was dropped since the thread looked nobody wants to hear. */
  lost(leases: readonly Lease[]): void {
    const lost = leases.filter((lease) => this.#held.delete(leaseKey(lease)));
    if (lost.length > 0) this.#options.onLost(lost.map(({ queue, id, token }) => ({ queue, id, token })));
  }

  /** Told until it is dropped, which it is when its worker settles it. */
  cancelled(leases: readonly CancelledLease[]): void {
    const held = leases.filter((lease) => this.#held.has(leaseKey(lease)));
    if (held.length > 0)
      this.#options.onCancelled?.(held.map(({ queue, id, token, how }) => ({ queue, id, token, how })));
  }

  failed(error: HoldfastError): void {
    if (this.#held.size > 0) this.#options.onError(error);
  }
}
