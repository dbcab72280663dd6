import { randomUUID } from "node:crypto";
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

interface Held {
  readonly version: number;
  readonly untilMs: number;
}

/**
 * Does each duty in one process at a time, by a lease in a document; where one ends or dies, another takes over. Each runs
 * by itself: one that fails, or hangs, stops no other.
 */
export class Duties {
  readonly #store: Documents;
  readonly #duties: readonly Duty[];
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #holder = randomUUID();
  readonly #held = new Map<string, Held>();
  readonly #failingSinceMs = new Map<string, number>();
  readonly #underWay = new Set<string>();

  constructor(store: Documents, duties: readonly Duty[], clock: Clock, log: Logger) {
    this.#store = store;
    this.#duties = duties;
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
    return [...this.#held.keys()];
  }

  async #turn(duty: Duty, signal: AbortSignal): Promise<number | void> {
    const { name } = duty;
    try {
      if (!(await this.#hold(name))) return undefined;
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
    const leftMs = Math.max(1, this.#held.get(name)!.untilMs - this.#clock.nowMs());
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

  /** True while this process may do it; a lease that is half over is renewed first. */
  async #hold(name: string): Promise<boolean> {
    const nowMs = this.#clock.nowMs();
    const held = this.#held.get(name);
    if (held !== undefined && held.untilMs - nowMs > leaseMs / 2) return true;
    this.#held.delete(name);
    const ifVersion = held?.version ?? (await this.#freeVersion(name, nowMs));
    if (ifVersion === undefined) return false;
    const untilMs = nowMs + leaseMs;
    const write = { id: name, value: { holder: this.#holder, untilMs }, ifVersion };
    const [receipt] = await this.#store.writeDocuments("duty", [write], nowMs);
    if (receipt?.status !== "written") return false;
    this.#held.set(name, { version: receipt.version, untilMs });
    return true;
  }

  /** The version that a free lease has; undefined while another holds it. */
  async #freeVersion(name: string, nowMs: number): Promise<number | undefined> {
    const [found] = await this.#store.readDocuments("duty", [name]);
    if (found === undefined) return 0;
    const { holder, untilMs } = found.value as { holder?: unknown; untilMs?: unknown };
    const free =
      holder === this.#holder || typeof untilMs !== "number" || untilMs <= nowMs || untilMs > nowMs + leaseMs;
    return free ? found.version : undefined;
  }

  async #giveBack(): Promise<void> {
    const writes = [...this.#held].map(([id, { version }]) => ({ id, value: undefined, ifVersion: version }));
    this.#held.clear();
    try {
      if (writes.length > 0) await this.#store.writeDocuments("duty", writes, this.#clock.nowMs());
    } catch (error) {
      this.#log.debug({ error }, "the duties could not be given back: they are free again in some seconds");
    }
  }
}
