import type { Event, History } from "../history/events.js";
import { Lives, type Life } from "../history/lives.js";
import type { Violation as Found } from "../history/verdict.js";
import type { Fleet } from "./fleet.js";
import type { World } from "./world.js";

export interface Violation {
  readonly invariant: string;
  readonly what: string;
}

/** Timers that a fleet at rest may still have. */
const mostPlanned = 400;

/**
 * What the checker of histories found, without what was never promised: a reply of storage alone is no protection from
 * storage that forgets. And what only this world can see.
 */
export function judge(
  world: World,
  fleet: Fleet,
  history: History,
  found: readonly Found[],
  unstopped: readonly string[],
): Violation[] {
  const lives = new Lives(history);
  const violations = found.filter((one) => !isExcused(one, lives, fleet));
  return [
    ...violations.map(({ invariant, what }) => ({ invariant, what })),
    ...fleet.seen,
    ...judgeArrivals(lives, fleet),
    ...unstopped.map((name) => ({ invariant: "endless", what: `${name} does not stop` })),
    ...(world.planned > mostPlanned ? [{ invariant: "memory", what: `${world.planned} timers are left` }] : []),
  ];
}

function isExcused({ invariant, evidence }: Found, lives: Lives, fleet: Fleet): boolean {
  const forgot = lives.incarnations.length > 0;
  if (invariant === "lost") {
    const { answers, invoke, ids } = evidence[0] as Life;
    const keys = [...ids].map((id) => `${invoke!.queue} ${id}`);
    const direct = answers.some((one) => one.e === "accepted" && one.how === "enqueued");
    if (direct) return keys.some((key) => fleet.shards.some(({ exposed }) => exposed.has(key)));
    // It was told to be spooled, and another task had its lock when it came to storage.
    return keys.some((key) => fleet.released.get(key)?.status === "duplicate");
  }
  // Locks are forgotten like everything else.
  if (invariant === "unique") return forgot;
  if (invariant === "unsettled-call") {
    const { by, at } = evidence[0] as Event;
    return lives.frozenIn(by, at, lives.endedAt);
  }
  return false;
}

/** What one program has accepted for a queue comes to storage in that order, where it may take the way over the spool. */
function judgeArrivals(lives: Lives, fleet: Fleet): Violation[] {
  const lines = new Map<string, { k: string; invokedAt: number; acceptedAt: number; place: number }[]>();
  for (const { k, invoke, answers } of lives.lives.values()) {
    const accepted = answers.find((one) => one.e === "accepted" && (one.how === "enqueued" || one.how === "spooled"));
    if (invoke === undefined || accepted?.e !== "accepted" || isOutOfOrder(invoke.by, fleet)) continue;
    const place = fleet.arrived.get(`${invoke.queue} ${accepted.id}`);
    if (place === undefined) continue;
    const line = `${invoke.by} ${invoke.queue}`;
    lines.set(line, [...(lines.get(line) ?? []), { k, invokedAt: invoke.at, acceptedAt: accepted.at, place }]);
  }
  const violations: Violation[] = [];
  for (const line of lines.values()) {
    line.sort((a, b) => a.place - b.place);
    let latest: (typeof line)[number] | undefined;
    for (const one of line) {
      if (latest !== undefined && one.acceptedAt < latest.invokedAt)
        violations.push({ invariant: "order", what: `${one.k} came to storage behind ${latest.k}` });
      if (latest === undefined || one.invokedAt > latest.invokedAt) latest = one;
    }
  }
  return violations;
}

/** Without a spool a call that is tried again may be overtaken. */
function isOutOfOrder(by: string, { setting }: Fleet): boolean {
  const n = Number(by.slice(1, by.indexOf("."))) - 1;
  return setting.producers[n]?.whenDown !== "spool";
}
