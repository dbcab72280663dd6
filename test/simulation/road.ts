import { type CallOutcome, HoldfastError } from "../../src/core/errors.js";
import type { Follower } from "./follower.js";
import type { Lineage, Shard } from "./shard.js";
import type { Process, World } from "./world.js";

interface Call<T> {
  readonly withinMs: number;
  readonly taskIds?: readonly string[];
  /** Needs memory: a server that is full refuses it. */
  readonly grows?: boolean;
  readonly act: (lineage: Lineage, shard: Shard) => T;
}

/** The server will not do it, whatever is done about the network. */
class Failed extends Error {}

/** Thrown by what a server is to do. */
export const failed = (problem: string) => new Failed(problem);

/**
 * The way of one process to one storage. What is sent arrives in order, unless it is lost; what comes after its caller's
 * deadline is refused; and a caller whose reply is lost does not know what has become of its call.
 */
export class Road {
  readonly #world: World;
  readonly #process: Process;
  readonly shard: Shard;
  readonly label: string;
  /** So many faults are at work on it at present. */
  cut = 0;
  swallows = 0;
  slow = 0;
  blind = 0;
  losesReplies = 0;
  /** It leads to the old master. */
  isStale = false;
  /** The data that its process has looked at. */
  looked: Lineage | undefined;
  /** Which replicas its process has seen follow, and which data. */
  readonly seen = new Map<Follower, Lineage>();
  /** Late calls are refused. */
  fenced = true;
  #arrivedMs = 0;
  #repliedMs = 0;

  constructor(world: World, owner: Process, shard: Shard, label: string) {
    this.#world = world;
    this.#process = owner;
    this.shard = shard;
    this.label = label;
  }

  /** What it was told has come to its process: a look of which the reply is lost shows nothing. */
  saw({ lineage, followers }: { readonly lineage: Lineage; readonly followers: readonly Follower[] }): void {
    this.looked = lineage;
    for (const one of followers) this.seen.set(one, lineage);
  }

  get isWell(): boolean {
    return this.cut + this.swallows + this.losesReplies === 0 && this.shard.down === 0;
  }

  call<T>({ withinMs, taskIds = [], grows = false, act }: Call<T>): Promise<T> {
    const world = this.#world;
    return new Promise<T>((resolve, reject) => {
      const fail = (problem: string, outcome: CallOutcome) => {
        late.cancel();
        reject(new HoldfastError("BROKER_UNAVAILABLE", { broker: this.label, problem, outcome, taskIds }));
      };
      const late = world.in(withinMs, () => {
        // By a new connection, which may pass what is still on its way on the old one.
        this.#arrivedMs = 0;
        fail("no answer in time", isSent ? "unknown" : "notSent");
      });
      const isSent = this.cut === 0;
      if (!isSent) {
        // Some clients wait for a connection as long as they may, others say so at once.
        if (world.chance(0.7)) world.in(world.between(0.5, 20), () => fail("connection refused", "notSent"));
        return;
      }
      const lateAtMs = world.nowMs + withinMs;
      this.#arrive(() => {
        if (this.swallows > 0) return;
        const broken = () => world.in(this.#pauseMs(), () => fail("the connection broke", "unknown"), this.#process);
        const lineage = this.#lineage();
        if (this.cut > 0 || lineage === undefined) return broken();
        const [answer, lost] = [this.#answer(act, lineage, grows, lateAtMs), world.chance(0.8 * this.losesReplies)];
        if (lost) return world.chance(0.5) ? broken() : undefined;
        return this.#reply(() => {
          late.cancel();
          if ("value" in answer) resolve(answer.value);
          else if (answer.outcome === undefined)
            reject(new HoldfastError("BROKER_FAILED", { broker: this.label, problem: answer.problem }));
          else fail(answer.problem, answer.outcome);
        });
      });
    });
  }

  #answer<T>(
    act: Call<T>["act"],
    lineage: Lineage,
    grows: boolean,
    lateAtMs: number,
  ): { readonly value: T } | { readonly problem: string; readonly outcome: CallOutcome | undefined } {
    if (this.fenced && this.#world.nowMs > lateAtMs) return { problem: "STALE too late", outcome: "refused" };
    if (grows && this.shard.refusing > 0) return { problem: "OOM memory is full", outcome: "refused" };
    try {
      return { value: act(lineage, this.shard) };
    } catch (error) {
      if (error instanceof Failed) return { problem: error.message, outcome: undefined };
      throw error;
    }
  }

  #lineage(): Lineage | undefined {
    const { shard } = this;
    if (shard.stale !== undefined && this.isStale) return shard.stale;
    const hasMaster = shard.down === 0 && (shard.stale === undefined || shard.outvoted);
    return hasMaster ? shard.current : undefined;
  }

  #pauseMs(): number {
    return this.slow > 0 && this.#world.chance(0.5) ? this.#world.between(100, 2_600) : this.#world.between(0.2, 2);
  }

  #arrive(act: () => void): void {
    this.#arrivedMs = Math.max(this.#arrivedMs, this.#world.nowMs + this.#pauseMs());
    this.#world.in(this.#arrivedMs - this.#world.nowMs, act, this.shard.process);
  }

  #reply(act: () => void): void {
    this.#repliedMs = Math.max(this.#repliedMs, this.#world.nowMs + this.#pauseMs());
    this.#world.in(this.#repliedMs - this.#world.nowMs, act, this.#process);
  }
}
