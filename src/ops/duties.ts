import { randomUUID } from "node:crypto";
import { DocumentLease } from "../broker/document-lease.js";
import type { Documents } from "../broker/documents.js";
import type { Clock } from "../core/clock.js";
import type { Logger } from "../core/log.js";
import { loop, pause } from "../core/loop.js";

/** Something that one process has to do again and again, in steps that end soon. */
export interface Duty {
  /** Of its own, and stored: no other duty may ever have had it. */
  readonly name: string;
  readonly everyMs: number;
  /** One bounded step. True: there is more to do at once. The signal aborts when another process may begin the same. */
  step(signal: AbortSignal): Promise<boolean | void>;
}

/** How long a process that says nothing is taken to be alive. */
const leaseMs = 15_000;
/** How long a step that is under way is waited for when all is to end. */
const stopPatienceMs = 1_000;

/**
 * Does each duty in one process at a time, by a lease in a document; where one ends or dies, another takes over. Each runs
 * by itself: one that fails, or hangs, stops no other.
 */
export class Duties {
  readonly #duties: readonly Duty[];
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #leases: ReadonlyMap<string, DocumentLease>;
  readonly #failingSinceMs = new Map<string, number>();
  readonly #underWay = new Set<string>();

  constructor(store: Documents, duties: readonly Duty[], clock: Clock, log: Logger) {
    const holder = randomUUID();
    this.#duties = duties;
    this.#leases = new Map(
      duties.map(({ name }) => [name, new DocumentLease(store, { kind: "duty", id: name, leaseMs, holder })]),
    );
    this.#clock = clock;
    this.#log = log;
  }

  /** Until the signal aborts; then what is held is given back. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(
      this.#duties.map((duty) =>
        loop(() => this.#turn(duty, signal), { everyMs: duty.everyMs, signal, onError: () => undefined }),
      ),
    );
    await this.#giveBack();
  }

  /** How long each duty has failed without a break, ms; 0: it has not. */
  failing(nowMs: number): Record<string, number> {
    return Object.fromEntries(
      this.#duties.map(({ name }) => [name, Math.max(0, nowMs - (this.#failingSinceMs.get(name) ?? nowMs))]),
    );
  }

  /** Duties that this process does at present. */
  get held(): readonly string[] {
    const nowMs = this.#clock.nowMs();
    return [...this.#leases].filter(([, lease]) => lease.isOursAt(nowMs)).map(([name]) => name);
  }

  async #turn(duty: Duty, signal: AbortSignal): Promise<number | void> {
    const { name } = duty;
    try {
      if (!(await this.#leases.get(name)!.hold(this.#clock.nowMs()))) return undefined;
      const more = await this.#step(duty, signal);
      if (this.#failingSinceMs.delete(name)) this.#log.info({ duty: name }, "the duty works again");
      return more === true ? 0 : undefined;
    } catch (error) {
      if (signal.aborted) return undefined;
      const first = !this.#failingSinceMs.has(name);
      if (first) this.#failingSinceMs.set(name, this.#clock.nowMs());
      this.#log[first ? "warn" : "debug"]({ duty: name, error }, "the duty failed; trying again");
      return undefined;
    }
  }

  /** A step that hangs is begun no second time, and keeps nobody from stopping. */
  async #step(duty: Duty, stop: AbortSignal): Promise<boolean | void> {
    const { name } = duty;
    if (this.#underWay.has(name)) throw new Error("its last step has not ended yet");
    const leftMs = Math.max(1, this.#leases.get(name)!.untilMs - this.#clock.nowMs());
    const work = duty.step(AbortSignal.any([stop, AbortSignal.timeout(leftMs)]));
    this.#underWay.add(name);
    const ended = new AbortController();
    const done = work.finally(() => {
      this.#underWay.delete(name);
      ended.abort();
    });
    const late = async () => {
      await pause(leftMs, AbortSignal.any([stop, ended.signal]));
      if (stop.aborted) await pause(stopPatienceMs, ended.signal);
      if (!ended.signal.aborted) throw new Error("a step did not end in time");
    };
    return Promise.race([done, late()]);
  }

  async #giveBack(): Promise<void> {
    const nowMs = this.#clock.nowMs();
    const ours = [...this.#leases.values()].filter((lease) => lease.isOursAt(nowMs));
    try {
      await Promise.all(ours.map((lease) => lease.release(nowMs)));
    } catch (error) {
      this.#log.debug({ error }, "the duties could not be given back: they are free again in some seconds");
    }
  }
}
