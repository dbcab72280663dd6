import { policiesIn, policiesOf } from "../../broker/growth-policy.js";
import { HoldfastError, invalidOption } from "../../core/errors.js";
import type { Desk } from "../desk.js";
import { drop, spill } from "./evicting.js";
import type { SpillTarget } from "./spill-target.js";
import { causeOf, type Excess, type Trimming, trimmingOf } from "./trimming.js";

/** What one step did. */
export interface GrowthStep {
  /** There is more to do at once. */
  readonly more: boolean;
  readonly dropped: number;
  readonly spilled: number;
  /** Files that were written to. */
  readonly files: readonly string[];
}

/** Which bound, and whose: what the act is recorded with. */
function reasonOf({ why, policy }: Excess): string {
  const { keepForMs = 0, keepMost = 0, actor } = policy;
  const bound = why === "age" ? `older than ${keepForMs / 1_000} s` : `more than ${keepMost}`;
  return `${bound}: policy of ${actor}`.slice(0, 500);
}

const nothing: GrowthStep = { more: false, dropped: 0, spilled: 0, files: [] };

/** Dead letters that one step moves out of a Go program's reach at the most. */
const mostMoved = 500;
/** A queue with policies for types is looked through no more often, if it has more than their bounds. */
const againMs = 600_000;

/**
 * Holds queues to their policies, in steps of at most 200 dead letters, and sees to it that what a Go program would delete
 * is moved out of its reach, also where no worker of Holdfast does. Any number of processes may do it at once: what one
 * has taken away the other does not find, and only what is in a file leaves storage for one. It keeps nothing that
 * another process would need to go on.
 */
export class GrowthKeeper implements AsyncDisposable {
  readonly #desk: Desk;
  readonly #target: SpillTarget | undefined;
  #queues: { readonly name: string; readonly trimming: Trimming }[] = [];
  readonly #lookedThroughMs = new Map<string, number>();
  #moreToMove = false;
  #problem: HoldfastError | undefined;

  constructor(desk: Desk, target: SpillTarget | undefined) {
    this.#desk = desk;
    this.#target = target;
  }

  /**
   * One page of one queue. After the last one it says what went wrong, if anything did: one queue stops no other.
   * @throws SPILL_FAILED OPTION_INVALID where a policy says "spill" and there is nowhere to
   */
  async step(): Promise<GrowthStep> {
    if (this.#queues.length === 0) await this.#begin();
    const [first] = this.#queues;
    if (first === undefined) return this.#end({ ...nothing, more: this.#moreToMove });
    let done = nothing;
    try {
      const excess = await first.trimming.next();
      if (excess === undefined) this.#queues.shift();
      else done = await this.#take(first.name, excess);
    } catch (error) {
      this.#queues.shift();
      if (!HoldfastError.is(error, "SPILL_FAILED") && !HoldfastError.is(error, "OPTION_INVALID")) throw error;
      this.#problem ??= error;
    }
    return this.#queues.length > 0 ? { ...done, more: true } : this.#end(done);
  }

  async close(): Promise<void> {
    await this.#target?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #begin(): Promise<void> {
    const { broker, store, nowMs } = this.#desk;
    const now = nowMs();
    const queues = (await broker.queues(now)).filter(({ counts }) => counts.archived > 0);
    await this.#moveOutOfReach(queues.map(({ name }) => name));
    const all = policiesIn(await store.readDocuments("policy"));
    if (all.size === 0) return;
    for (const queue of queues) {
      const policies = policiesOf(all, queue.name);
      const trimming = trimmingOf(this.#desk, queue, policies);
      if (trimming === undefined) continue;
      if (policies.types.size > 0) {
        const before = this.#lookedThroughMs.get(queue.name);
        if (before !== undefined && Math.abs(now - before) < againMs) continue;
        this.#lookedThroughMs.set(queue.name, now);
      }
      this.#queues.push({ name: queue.name, trimming });
    }
  }

  async #moveOutOfReach(queues: readonly string[]): Promise<void> {
    const { broker, nowMs } = this.#desk;
    this.#moreToMove = false;
    try {
      if (queues.length > 0) this.#moreToMove = (await broker.prune(queues, mostMoved, nowMs())) >= mostMoved;
    } catch (error) {
      if (!HoldfastError.is(error, "BROKER_FAILED")) throw error;
      this.#problem ??= error;
    }
  }

  #end(done: GrowthStep): GrowthStep {
    const problem = this.#problem;
    this.#problem = undefined;
    if (problem !== undefined) throw problem;
    return done;
  }

  async #take(queue: string, excess: readonly Excess[]): Promise<GrowthStep> {
    let { dropped, spilled } = nothing;
    const files = new Set<string>();
    for (const one of excess) {
      const by = this.#desk.act({ actor: "policy", reason: reasonOf(one) }, "policy");
      const cause = causeOf(one);
      if (one.overflow === "drop") {
        dropped += (await drop(this.#desk, queue, one.tasks, cause, by)).gone;
        continue;
      }
      const done = await spill(this.#desk, this.#spillTarget(queue), queue, one.tasks, cause, by);
      spilled += done.gone;
      for (const file of done.files) files.add(file);
    }
    return { more: true, dropped, spilled, files: [...files] };
  }

  #spillTarget(queue: string): SpillTarget {
    if (this.#target !== undefined) return this.#target;
    throw invalidOption(
      "spill.directory",
      `is needed: the policy of queue ${JSON.stringify(queue)} says "spill", and this process has nowhere to; nothing was deleted`,
    );
  }
}
