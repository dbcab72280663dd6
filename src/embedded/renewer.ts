import { type HeldLease, type Lease, minLeaseMs } from "../broker/broker.js";
import { type Clock, DisciplinedClock } from "../core/clock.js";

/** A clock that looks at its reference whenever it is read: nobody else keeps it in step while its thread rests. */
export class FollowingClock implements Clock {
  readonly #clock = new DisciplinedClock();
  readonly #reference: Clock;

  constructor(reference: Clock) {
    this.#reference = reference;
  }

  nowMs(): number {
    this.#clock.observe(this.#reference.nowMs(), 0);
    return this.#clock.nowMs();
  }
}

/** The leases one keeper holds, renewed every third of their length, on a timer and a clock of its own thread. */
export class Renewer {
  readonly #leaseMs: number;
  readonly #clock: Clock;
  readonly #renew: (leases: readonly Lease[]) => readonly Lease[];
  readonly #held = new Map<string, HeldLease>();
  readonly #timer: NodeJS.Timeout;

  /** `renew` sees to it that each lease lasts until its `untilMs`, and answers those that are lost. */
  constructor(leaseMs: number, clock: Clock, renew: (leases: readonly Lease[]) => readonly Lease[]) {
    this.#leaseMs = Math.max(leaseMs, minLeaseMs);
    this.#clock = clock;
    this.#renew = renew;
    this.#timer = setInterval(() => this.#turn(), this.#leaseMs / 3);
  }

  hold(leases: readonly HeldLease[]): void {
    for (const held of leases) this.#held.set(leaseKey(held.lease), held);
  }

  drop(leases: readonly Lease[]): void {
    for (const lease of leases) this.#held.delete(leaseKey(lease));
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #turn(): void {
    const nowMs = this.#clock.nowMs();
    const leases: Lease[] = [];
    for (const [key, { lease, renewUntilMs }] of this.#held) {
      if (renewUntilMs <= nowMs) this.#held.delete(key);
      else leases.push({ ...lease, untilMs: Math.min(nowMs + this.#leaseMs, renewUntilMs) });
    }
    if (leases.length > 0) this.drop(this.#renew(leases));
  }
}

/** With its token: a task that was lost and leased again is another lease. */
export const leaseKey = ({ queue, id, token }: Lease): string => `${token} ${queue} ${id}`;
