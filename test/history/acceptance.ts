import type { FinalState } from "./events.js";
import type { Life, Lives } from "./lives.js";
import { type Found, violation } from "./verdict.js";

/** A call may settle so much later than its own limit. */
const graceMs = 1_000;

export const acceptedAs = (life: Life) =>
  life.answers.find((one) => one.e === "accepted" && (one.how === "enqueued" || one.how === "spooled"));
export const isThere = (life: Life) => life.runs.length > 0 || life.stored.length > 0;
const ranToItsEnd = ({ runs }: Life) => runs.find(({ finish }) => finish?.how === "done");

/** What was accepted ran to its end, or is still somewhere. */
export function isLost(life: Life, lives: Lives, spooled: ReadonlySet<string>): boolean {
  if (acceptedAs(life) === undefined || ranToItsEnd(life) !== undefined) return false;
  if (life.stored.length > 0 || spooled.has(life.k)) return false;
  // A dead letter that had its run: storage forgot the letter afterwards.
  const skipped = life.runs.find(({ finish }) => finish?.how === "skipped");
  return skipped === undefined || !lives.incarnationIn(skipped.at, lives.endedAt);
}

export function judgeCalls(lives: Lives, final: FinalState): Found {
  const spooled = new Set(final.spooled);
  return [...lives.lives.values()].flatMap((life) => {
    const { k, invoke, answers } = life;
    if (invoke === undefined) return isThere(life) ? [violation("unexpected", `${k} was never enqueued`, life)] : [];
    const found = [];
    if (isLost(life, lives, spooled)) found.push(violation("lost", `${k} was accepted and is nowhere`, life));
    if (answers[0]?.e === "rejected" && isThere(life))
      found.push(violation("unexpected", `${k} was called "not taken" and is there`, life));
    if (life.ids.size > 1) found.push(violation("duplicate", `${k} is two tasks: ${[...life.ids].join(", ")}`, life));
    const cutOff = lives.deaths.has(invoke.by);
    const settledAt = answers[0]?.at ?? (cutOff ? invoke.at : lives.endedAt);
    const limitMs = invoke.withinMs + graceMs;
    if (settledAt - invoke.at > limitMs)
      found.push(violation("unsettled-call", `${k} had ${limitMs} ms to settle and did not`, invoke, ...answers));
    return found;
  });
}

/** Of what shares a lock one lives at a time; nobody is turned away for a lock that nobody holds. */
export function judgeLocks(lives: Lives, final: FinalState): Found {
  const byLock = new Map<string, Life[]>();
  for (const life of lives.lives.values()) {
    const lock = life.invoke?.lock;
    if (lock !== undefined) byLock.set(lock, [...(byLock.get(lock) ?? []), life]);
  }
  const leaked = final.queues.flatMap(({ name, locks, tasks }) => {
    const ids = new Set(tasks.map(({ id }) => id));
    return Object.entries(locks)
      .filter(([, id]) => !ids.has(id))
      .map(([lock, id]) => violation("unique", `${lock} of ${name} is held by ${id}, which there is not`));
  });
  return [...leaked, ...[...byLock].flatMap(([lock, holders]) => judgeLock(lock, holders, lives))];
}

function judgeLock(lock: string, lifes: readonly Life[], lives: Lives): Found {
  const turnedAway = lifes.filter(({ answers }) =>
    answers.some((one) => one.e === "accepted" && one.how === "duplicate"),
  );
  const inVain = turnedAway.filter((life) => !lifes.some((other) => other !== life && mayHold(other)));
  const both = turnedAway.filter(isThere);
  const took = lifes
    .flatMap((life) => {
      const accepted = life.answers.find((one) => one.e === "accepted" && one.how === "enqueued");
      return accepted === undefined
        ? []
        : [{ life, at: accepted.at, doneAt: ranToItsEnd(life)?.finish!.at ?? Infinity }];
    })
    .toSorted((a, b) => a.at - b.at);
  const twice = took.slice(1).filter((second, n) => {
    const first = took[n]!;
    const heldUntil = Math.min(first.doneAt, first.at + first.life.invoke!.lockMs! - graceMs);
    return second.life.invoke!.at > first.at && second.at < heldUntil && !lives.incarnationIn(first.at, second.at);
  });
  return [
    ...inVain.map((life) => violation("unique", `${life.k} was turned away for ${lock}, which nobody held`, life)),
    ...both.map((life) => violation("unique", `${life.k} was called a duplicate and is there`, life)),
    ...twice.map(({ life }) => violation("unique", `${life.k} got ${lock} while another task had it`, ...lifes)),
  ];
}

const mayHold = (life: Life) => acceptedAs(life) !== undefined || isThere(life);
