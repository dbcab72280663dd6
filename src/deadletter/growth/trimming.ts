import type { EvictionCause } from "../../broker/eviction.js";
import type { GrowthPolicy, Overflow, QueuePolicies } from "../../broker/growth-policy.js";
import type { QueueInfo, TaskInfo } from "../../core/info.js";
import { scanPage } from "../../inspector/pages.js";
import type { Desk } from "../desk.js";

/** Dead letters of one page that are past a bound, by what is to become of them and why. */
export interface Excess {
  readonly policy: GrowthPolicy;
  readonly overflow: Exclude<Overflow, "refuse">;
  readonly why: "age" | "size";
  readonly tasks: readonly TaskInfo[];
}

export const causeOf = ({ overflow, why }: Excess): EvictionCause => (overflow === "spill" ? `spilled_${why}` : why);

/** Looks through a queue's dead letters a page at a time; `undefined`: there is nothing more to see. */
export interface Trimming {
  next(): Promise<readonly Excess[] | undefined>;
}

/** What may be past a bound can be told from the queue's figures; mostly nothing is, and nothing is read. */
export function trimmingOf(desk: Desk, queue: QueueInfo, policies: QueuePolicies): Trimming | undefined {
  const acting = [policies.own, ...policies.types.values()].filter(
    (policy) => policy !== undefined && policy.overflow !== "refuse",
  );
  const letters = queue.counts.archived;
  const oldestAtMs = queue.earliestAtMs?.archived;
  const passed = (policy: GrowthPolicy | undefined) =>
    policy !== undefined &&
    ((policy.keepMost !== undefined && letters > policy.keepMost) ||
      (oldestAtMs !== undefined && isOld(policy, oldestAtMs, desk.nowMs())));
  if (letters === 0 || !acting.some(passed)) return undefined;
  return policies.types.size === 0
    ? new FromOldest(desk, queue.name, policies.own!)
    : new FromNewest(desk, queue.name, policies);
}

const isOld = ({ keepForMs }: GrowthPolicy, archivedAtMs: number, nowMs: number) =>
  keepForMs !== undefined && nowMs - archivedAtMs > keepForMs;

/** One policy for all: what is past its bounds is at the front. Each page is judged by the count right after it. */
class FromOldest implements Trimming {
  readonly #desk: Desk;
  readonly #queue: string;
  readonly #policy: GrowthPolicy;
  #cursor: string | undefined;

  constructor(desk: Desk, queue: string, policy: GrowthPolicy) {
    this.#desk = desk;
    this.#queue = queue;
    this.#policy = policy;
  }

  async next(): Promise<readonly Excess[] | undefined> {
    const { broker, nowMs } = this.#desk;
    const now = nowMs();
    const page = await broker.list(
      { queue: this.#queue, state: "archived" },
      { limit: scanPage, cursor: this.#cursor },
    );
    // After the list: who takes the oldest in between makes the count too low for it, never too high.
    const [info] = await broker.queues(now, [this.#queue]);
    const { keepMost, overflow } = this.#policy;
    const surplus = keepMost === undefined ? 0 : (info?.counts.archived ?? 0) - keepMost;
    const old = page.items.filter(({ archivedAtMs = now }) => isOld(this.#policy, archivedAtMs, now));
    const tooMany = page.items.slice(old.length, Math.max(old.length, surplus));
    if (overflow === "refuse" || old.length + tooMany.length === 0) return undefined;
    // What cannot be taken away, for it has changed, is not met again.
    this.#cursor = page.next;
    const excess: readonly Excess[] = [
      { policy: this.#policy, overflow, why: "age", tasks: old },
      { policy: this.#policy, overflow, why: "size", tasks: tooMany },
    ];
    return excess.filter(({ tasks }) => tasks.length > 0);
  }
}

/**
 * Types with policies of their own: storage has no index by type, so all are looked through once, the newest first, and
 * counted for their policy. What comes meanwhile makes the count too low, never too high.
 */
class FromNewest implements Trimming {
  readonly #desk: Desk;
  readonly #queue: string;
  readonly #policies: QueuePolicies;
  readonly #counts = new Map<GrowthPolicy, number>();
  #cursor: string | undefined;
  #ended = false;

  constructor(desk: Desk, queue: string, policies: QueuePolicies) {
    this.#desk = desk;
    this.#queue = queue;
    this.#policies = policies;
  }

  async next(): Promise<readonly Excess[] | undefined> {
    if (this.#ended) return undefined;
    const { broker, nowMs } = this.#desk;
    const now = nowMs();
    const request = { limit: scanPage, cursor: this.#cursor, backwards: true };
    const page = await broker.list({ queue: this.#queue, state: "archived" }, request);
    this.#cursor = page.previous;
    this.#ended = page.previous === undefined;
    const excess: (Excess & { readonly tasks: TaskInfo[] })[] = [];
    for (const task of page.items.toReversed()) {
      const policy = this.#policyOf(task);
      if (policy === undefined) continue;
      const { overflow, keepMost } = policy;
      const count = (this.#counts.get(policy) ?? 0) + 1;
      this.#counts.set(policy, count);
      if (overflow === "refuse") continue;
      const why = isOld(policy, task.archivedAtMs ?? now, now) ? "age" : "size";
      if (why === "size" && (keepMost === undefined || count <= keepMost)) continue;
      const known = excess.find((one) => one.policy === policy && one.why === why);
      if (known === undefined) excess.push({ policy, overflow, why, tasks: [task] });
      else known.tasks.push(task);
    }
    return excess;
  }

  #policyOf({ message }: TaskInfo): GrowthPolicy | undefined {
    return (message && this.#policies.types.get(message.type)) ?? this.#policies.own;
  }
}
