import { acceptedAs } from "./acceptance.js";
import { endOf, type Life, type Lives, type Run } from "./lives.js";
import { type Found, type Violation, violation } from "./verdict.js";

/** How long before its change is seen a doomed incarnation may acknowledge what it is about to forget. */
const doomedMs = 15_000;
/** Times to process are whole seconds. */
const quantumMs = 1_000;
/** So long after the server's clock has jumped times to process may still be on the old one. */
const clockMs = 60_000;
const over: ReadonlySet<string> = new Set(["completed", "archived", "revoked"]);
/** Causes that let two runs of a task go on at the same time. */
const overlapping: ReadonlySet<string> = new Set(["worker frozen", "lease lost", "storage forgot", "worker stopped"]);

/** A second run beyond counted retries, and why. */
export interface Repeat {
  readonly cause: string;
  readonly last: Run;
  readonly next: Run;
}

export interface Judged {
  readonly violations: Violation[];
  readonly repeats: Repeat[];
}

/** Each run for itself, and each beside the one before it. */
export function judgeRuns(lives: Lives): Judged {
  const judged: Judged = { violations: [], repeats: [] };
  for (const life of lives.lives.values()) {
    judged.violations.push(...judgeAlone(life, lives));
    for (const [n, run] of life.runs.entries()) if (n > 0) judgePair(life.runs[n - 1]!, run, lives, judged);
  }
  return judged;
}

function judgeAlone({ k, invoke, runs, stored }: Life, { clocks }: Lives): Found {
  if (invoke === undefined) return [];
  const most = invoke.maxRetry;
  const changed = [...runs, ...stored].filter(({ hash }) => hash !== invoke.hash);
  const moved = (run: Run) => clocks.some((at) => at > invoke.at - clockMs && at < run.at);
  const early = runs.filter((run) => invoke.dueAt !== undefined && run.at < invoke.dueAt - quantumMs && !moved(run));
  return [
    ...changed.map((one) => violation("payload", `${k} has other bytes than were sent`, invoke, one)),
    ...early.map((run) => violation("early", `${k} ran ${Math.round(invoke.dueAt! - run.at)} ms early`, invoke, run)),
    ...runs
      .filter(({ attempt }) => attempt > most + 1)
      .map((run) => violation("retries", `${k} is at attempt ${run.attempt} of ${most + 1}`, run)),
    ...stored
      .filter(({ retried, maxRetry }) => retried > most || maxRetry !== most)
      .map((one) => violation("retries", `${k} counts ${one.retried} of ${one.maxRetry}, not of ${most}`, one)),
    ...stored
      .filter(({ reason, retried }) => reason === "retries_exhausted" && retried < most)
      .map((one) => violation("retries", `${k} gave up at ${one.retried} of ${most} retries`, one)),
  ];
}

function judgePair(last: Run, next: Run, lives: Lives, { violations, repeats }: Judged): void {
  const add = (...found: Found) => violations.push(...found);
  const { k } = next;
  const forgotten = lives.incarnationIn(last.at - doomedMs, next.at);
  const failed = last.finish?.how === "failed" || (last.settled?.outcome === "retry" && last.finish === undefined);
  if (last.settled?.receipt === "settled") {
    const { at, outcome } = last.settled;
    if (over.has(outcome) && at < next.at && !lives.incarnationIn(at - doomedMs, next.at))
      add(violation("rerun", `${k} ran again after it was ${outcome} for good`, last, next));
    const sameAttempt = last.attempt === next.attempt && last.by !== next.by && outcome !== "released";
    if (sameAttempt && at > next.at && !lives.incarnationIn(next.at - doomedMs, at))
      add(violation("stale-write", `${k}: ${last.by} settled what ${next.by} had taken over`, last, next));
  }
  if (next.attempt > last.attempt) {
    if (!failed) add(violation("retries", `${k} lost a retry without a failure`, last, next));
    if (next.attempt > last.attempt + 1 && !forgotten)
      add(violation("retries", `${k} went from attempt ${last.attempt} to ${next.attempt}`, last, next));
    if (next.at >= (last.finish?.at ?? 0)) return;
  }
  if (next.attempt < last.attempt && !forgotten)
    add(violation("retries", `${k} went back from attempt ${last.attempt} to ${next.attempt}`, last, next));
  const cause = causeOf(last, next, lives);
  if (cause === undefined) add(violation("duplicate", `${k} ran again and nothing explains it`, last, next));
  else repeats.push({ cause, last, next });
  if (next.at < endOf(last, lives) && !overlapping.has(cause ?? ""))
    add(violation("overlap", `${k} ran twice at the same time`, last, next));
}

/** Why a task ran again although no failure was counted; undefined where nothing in the history says so. */
function causeOf(last: Run, next: Run, lives: Lives): string | undefined {
  const { by, at } = last;
  const died = lives.deaths.get(by);
  if (died !== undefined && died >= at && died <= next.at) return "worker killed";
  if (lives.frozenIn(by, at, next.at)) return "worker frozen";
  if (lives.incarnationIn(at - doomedMs, next.at)) return "storage forgot";
  const stopped = lives.stops.get(by);
  if (stopped !== undefined && stopped <= next.at && endOf(last, lives) >= stopped) return "worker stopped";
  // Leases do not run out, nor do outcomes get lost, while nothing is wrong.
  if (lives.faultIn(at, next.at) === undefined) return undefined;
  const left = last.lostAt !== undefined || (last.settled !== undefined && last.settled.receipt !== "settled");
  // Killed later, before it could say that it had lost it.
  const silenced = died !== undefined && last.finish === undefined;
  if (left || silenced) return "lease lost";
  return last.finish !== undefined && last.finish.at <= next.at ? "acknowledgement lost" : undefined;
}

/** First attempts of an ordered queue start in the order in which one producer's calls were accepted. */
export function judgeOrder(lives: Lives): Found {
  const first = [...lives.lives.values()].flatMap((life) => {
    const accepted = acceptedAs(life);
    const [run] = life.runs;
    if (life.invoke?.ordered !== true || accepted === undefined || run === undefined) return [];
    return [{ invoke: life.invoke, acceptedAt: accepted.at, run }];
  });
  const latest = new Map<string, (typeof first)[number]>();
  const found: Violation[] = [];
  for (const one of first.toSorted((a, b) => a.run.at - b.run.at)) {
    const line = `${one.invoke.queue} ${one.invoke.by}`;
    const ahead = latest.get(line);
    if (ahead !== undefined && one.acceptedAt < ahead.invoke.at && !lives.faultIn(one.acceptedAt, one.run.at))
      found.push(violation("order", `${one.invoke.k} was overtaken by ${ahead.invoke.k}`, one, ahead));
    if (ahead === undefined || one.invoke.at > ahead.invoke.at) latest.set(line, one);
  }
  return found;
}
