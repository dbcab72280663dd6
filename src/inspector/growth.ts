import type { Documents } from "../broker/documents.js";
import type { Eviction, EvictionCause } from "../broker/eviction.js";
import { type GrowthPolicy, policiesIn, policiesOf, type QueuePolicies } from "../broker/growth-policy.js";
import type { QueueInfo } from "../core/info.js";

/** How the dead letters of one queue grow, and how long there is room for them. */
export interface Growth {
  readonly queue: string;
  readonly letters: number;
  /** When the oldest died, Unix ms. */
  readonly oldestAtMs: number | undefined;
  /** What holds for the queue as a whole; those of single types are beside it. */
  readonly policy: GrowthPolicy | undefined;
  readonly typePolicies: number;
  /** Until the policy's bound in number is met; 0 when it is passed, undefined where there is none. */
  readonly headroom: number | undefined;
  /** Of the dead letters that are there: how many died in the last 30 minutes, and 24 hours. */
  readonly inflow: { readonly halfHour: number; readonly day: number };
  /** Until there is no headroom, if they keep coming as in the last 30 minutes or, where none came, as in the last 24 hours. */
  readonly fullInMs: number | undefined;
  /** The oldest is past the bound in time. */
  readonly overdue: boolean;
  /** Why dead letters have left storage, all-time. */
  readonly evicted: Readonly<Partial<Record<EvictionCause, number>>>;
  /** Of asynq's own bounds, which a Go program enforces by deleting without a word. */
  readonly go: {
    /** Dead letters that are where it looks; the others have been moved out of its reach. */
    readonly inReach: number;
    /** Until it would delete one. */
    readonly headroom: number;
    readonly fullInMs: number | undefined;
  };
}

/** asynq keeps so many of its archive, and deletes the rest when it archives the next one. */
const goKeeps = 9_999;
const halfHourMs = 1_800_000;
const dayMs = 86_400_000;

/** Of these queues, in order; with four round trips, however many they are. */
export async function growthOf(
  store: Documents & Eviction,
  queues: readonly QueueInfo[],
  nowMs: number,
): Promise<Growth[]> {
  const names = queues.map(({ name }) => name);
  const [documents, inflows, evicted, inReach] = await Promise.all([
    store.readDocuments("policy"),
    store.diedSince(names, [nowMs - halfHourMs, nowMs - dayMs]),
    store.evicted(names),
    store.inReachOfGo(names),
  ]);
  const all = policiesIn(documents);
  return queues.map((queue, n) => {
    const [halfHour = 0, day = 0] = inflows[n]!;
    return grown(queue, policiesOf(all, queue.name), { halfHour, day }, evicted[n]!, inReach[n]!, nowMs);
  });
}

function grown(
  { name, counts, earliestAtMs }: QueueInfo,
  { own: policy, types }: QueuePolicies,
  inflow: Growth["inflow"],
  evicted: Growth["evicted"],
  inReach: number,
  nowMs: number,
): Growth {
  const letters = counts.archived;
  const oldestAtMs = letters === 0 ? undefined : earliestAtMs?.archived;
  const headroom = policy?.keepMost === undefined ? undefined : Math.max(0, policy.keepMost - letters);
  const goHeadroom = Math.max(0, goKeeps - inReach);
  return {
    queue: name,
    letters,
    oldestAtMs,
    policy,
    typePolicies: types.size,
    headroom,
    inflow,
    fullInMs: headroom === undefined ? undefined : fullIn(headroom, inflow),
    overdue: policy?.keepForMs !== undefined && oldestAtMs !== undefined && nowMs - oldestAtMs > policy.keepForMs,
    evicted,
    go: { inReach, headroom: goHeadroom, fullInMs: inReach === 0 ? undefined : fullIn(goHeadroom, inflow) },
  };
}

function fullIn(headroom: number, { halfHour, day }: Growth["inflow"]): number | undefined {
  if (headroom === 0) return 0;
  const perMs = halfHour > 0 ? halfHour / halfHourMs : day / dayMs;
  return perMs === 0 ? undefined : Math.round(headroom / perMs);
}
