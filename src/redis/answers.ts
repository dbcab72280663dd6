import { lastTimeMs } from "../core/duration.js";
import { HoldfastError } from "../core/errors.js";
import { tellBroker } from "../core/telemetry.js";
import { type Command, LinkError, type RedisLink, type Reply, type ScriptCall } from "./link.js";

/** A call that failed, and the tasks it was about. */
export interface Failed {
  readonly error: LinkError | HoldfastError<"BROKER_UNAVAILABLE">;
  readonly taskIds: readonly string[];
}

const gravity = { failed: 0, notSent: 1, refused: 2, unknown: 3 } as const;
export const outcomeOf = ({ error }: Failed) => (error instanceof LinkError ? error.outcome : error.data.outcome);

/**
 * One error for all calls of a verb that failed, if any did: the one that leaves most open, with all their ids. `done`
 * are tasks for which calls that succeeded have done something; as their receipts are lost with the error, they are
 * among its ids, and the whole is no refusal.
 */
export function throwFailed(broker: string, failed: readonly Failed[], done: readonly string[]): void {
  if (failed.length === 0) return;
  const worst = failed.reduce((one, other) => (gravity[outcomeOf(other)] > gravity[outcomeOf(one)] ? other : one));
  const outcome = outcomeOf(worst);
  const problem = worst.error instanceof LinkError ? worst.error.problem : worst.error.data.problem;
  const acknowledged = worst.error instanceof LinkError ? undefined : worst.error.data.acknowledged;
  if (outcome === "failed") throw new HoldfastError("BROKER_FAILED", { broker, problem });
  throw new HoldfastError(
    "BROKER_UNAVAILABLE",
    {
      broker,
      problem,
      outcome: done.length > 0 ? "unknown" : outcome,
      taskIds: [...done, ...failed.flatMap(({ taskIds }) => taskIds)],
      ...(acknowledged === undefined ? {} : { acknowledged }),
    },
    worst.error instanceof LinkError ? {} : { cause: worst.error.cause },
  );
}

/**
 * A score as a time, Unix ms. Other programs may write fractions, or what is no time at all: that is as far away as a Date
 * can tell.
 */
export function timeOf(score: string): number {
  const ms = Math.ceil(Number(score.replace("inf", "Infinity"))) * 1_000;
  return Number.isNaN(ms) ? 0 : Math.max(-lastTimeMs, Math.min(ms, lastTimeMs));
}

/** A count of a queue's, which may be past what a number tells exactly. */
export function totalOf(stored: unknown): number {
  const total = Number(String(stored));
  return Number.isFinite(total) ? Math.max(0, total) : 0;
}

/** A count from a task's hash, into which anyone may have written anything. */
export function countOf(stored: unknown): number {
  const count = Number(String(stored));
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
}

const unreadableProblem = "its answer is none to what was asked";

/**
 * For an answer that no script of ours gives: it may be another call's, and so may all that follow on its connection.
 * Nothing is guessed: what was asked may have been done.
 */
export function unreadable(broker: string): HoldfastError<"BROKER_UNAVAILABLE"> {
  return new HoldfastError("BROKER_UNAVAILABLE", {
    broker,
    problem: unreadableProblem,
    outcome: "unknown",
    taskIds: [],
  });
}

export const isUnreadable = (error: unknown): error is HoldfastError<"BROKER_UNAVAILABLE"> =>
  HoldfastError.is(error, "BROKER_UNAVAILABLE") && error.data.problem === unreadableProblem;

/** What a word of an answer stands for. @throws BROKER_UNAVAILABLE where that is not known */
export function meaningOf<T>(broker: string, known: Readonly<Record<string, T>>, word: string): T {
  if (!Object.hasOwn(known, word)) throw unreadable(broker);
  return known[word]!;
}

/** How many there were, as an answer says. @throws BROKER_UNAVAILABLE */
export function numberIn(broker: string, reply: Reply | undefined): number {
  if (typeof reply !== "number" || !Number.isSafeInteger(reply) || reply < 0) throw unreadable(broker);
  return reply;
}

/** @throws BROKER_UNAVAILABLE where it is no text */
export function textIn(broker: string, reply: Reply | undefined): string {
  if (!Buffer.isBuffer(reply)) throw unreadable(broker);
  return String(reply);
}

/** Of what was caught, the one error with which a verb can go on. */
export function unavailable(error: unknown): HoldfastError<"BROKER_UNAVAILABLE"> {
  if (HoldfastError.is(error, "BROKER_UNAVAILABLE")) return error;
  throw error;
}

/** For who would rather hear of some than of none: what none of a Cluster's nodes answered is an answer, too. */
export async function answersOf(link: RedisLink, calls: readonly (ScriptCall | Command)[]): Promise<readonly Reply[]> {
  if (!link.oneSlotPerCall) return link.run(calls);
  const replies = await link.run(calls).catch(unavailable);
  if (!(replies instanceof HoldfastError)) return replies;
  const { outcome, problem } = replies.data;
  return calls.map(() => new LinkError(outcome === "unknown" ? "unknown" : "refused", "", problem));
}

/** What only a change of rights or of data can mend is nobody's absence. */
export const isAway = (reply: Reply | undefined): reply is LinkError =>
  reply instanceof LinkError && reply.outcome !== "failed" && reply.code !== "NOPERM";

/** The queue that an answer names by its number, from 1 on. @throws BROKER_UNAVAILABLE */
export function queueIn(broker: string, queues: readonly string[], number: Reply | undefined): string {
  const queue = queues[Number(number) - 1];
  if (queue === undefined) throw unreadable(broker);
  return queue;
}

/** A script's list, or the error to throw. @throws BROKER_UNAVAILABLE BROKER_FAILED */
export function listOf(broker: string, reply: Reply | undefined): readonly Reply[] {
  if (reply instanceof LinkError) throw reply.toError(broker);
  if (!Array.isArray(reply)) throw unreadable(broker);
  return reply;
}

/**
 * What a script set aside is told to those who listen; the answer is what it could not do for a key in its way.
 * Notes are { number of the queue, id or "", problem, … }.
 */
export function heed(broker: string, notes: Reply | undefined, queues: readonly string[]): string[] {
  const problems: string[] = [];
  const list = listOf(broker, notes);
  for (let n = 0; n < list.length; n += 3) {
    const id = String(list[n + 1]);
    const problem = String(list[n + 2]);
    if (id === "") problems.push(problem);
    else tellBroker({ event: "setAside", broker, queue: queueIn(broker, queues, list[n]), id, problem });
  }
  return problems;
}

/** @throws BROKER_FAILED naming the keys, when there are problems */
export function throwProblems(broker: string, problems: readonly string[]): void {
  if (problems.length > 0)
    throw new HoldfastError("BROKER_FAILED", { broker, problem: [...new Set(problems)].join("; ") });
}
