import type { LeasedTask } from "../../src/broker/broker.js";
import type { DeadLetterStore } from "../../src/broker/dead-letters.js";
import type { TaskMessage } from "../../src/core/message.js";
import { DeadLetters } from "../../src/deadletter/index.js";
import type { RedriveOptions } from "../../src/deadletter/redrive/options.js";
import type { RedriveInfo } from "../../src/deadletter/redrive/redrives.js";
import { settled } from "../support/builders.js";
import type { Trial } from "./describe-broker.js";

export const quick: RedriveOptions = { rate: 5_000, ramp: "0s", canary: 0, actor: "ops@test", reason: "a test" };

export const lettersOf = (t: Trial, broker = t.broker) => new DeadLetters(broker);
export const all = (t: Trial) => `queue:${t.queue}`;

export async function die(t: Trial, ids: readonly string[], fields: Partial<TaskMessage> = {}): Promise<void> {
  await t.enqueue(ids.map((id) => t.task(id, { maxRetry: 0, ...fields })));
  // In order, a second apart, and all of them long ago.
  for (const [n, task] of (await t.leaseAll({}, -100_000)).entries())
    await t.settle([settled.archived(task)], -90_000 + n * 1_000);
}

/** Those of a process in which something happens just before a verb reaches storage. */
export function lettersWith(t: Trial, verb: keyof DeadLetterStore, happens: () => Promise<void>): DeadLetters {
  const store = t.broker.deadLetters!;
  const instead = async (...given: unknown[]): Promise<unknown> => {
    await happens();
    return Reflect.apply(store[verb] as (...all: unknown[]) => unknown, store, given);
  };
  return lettersOf(t, changed(t.broker, "deadLetters", changed(store, verb, instead)));
}

/** A process that dies as soon as a verb has been carried out, if it says so. */
export const dyingAfter = (t: Trial, verb: keyof DeadLetterStore, dies: () => Promise<boolean>): Trial["broker"] =>
  dying(t, async (asked, carryOut) => {
    const answer = await carryOut();
    if (asked === verb && (await dies())) throw new Error(death);
    return answer;
  });

export const death = "the process has died";

/** What a process asks of storage, and that it changes nothing there. */
const readVerb = /^(?:read|list|find|queues$|redriveStands|redrivenTasks|knownCauses|failureGroups|evicted)/;
export const changesNothing = (verb: string): boolean => readVerb.test(verb);

/** A process for which each verb is carried out by this; once that throws, it does nothing any more. */
export function dying(
  t: Trial,
  instead: (verb: string, carryOut: () => Promise<unknown>) => Promise<unknown>,
): Trial["broker"] {
  let isDead = false;
  const mortal = <T extends object>(whole: T): T =>
    new Proxy(whole, {
      get(target, verb) {
        const own: unknown = Reflect.get(target, verb);
        if (typeof own !== "function") return own;
        return async (...given: unknown[]): Promise<unknown> => {
          if (isDead) throw new Error(death);
          try {
            return await instead(String(verb), async () => Reflect.apply(own, target, given) as unknown);
          } catch (error) {
            isDead ||= error instanceof Error && error.message === death;
            throw error;
          }
        };
      },
    });
  const { audit, deadLetters } = t.broker;
  return changed(changed(mortal(t.broker), "deadLetters", mortal(deadLetters!)), "audit", mortal(audit));
}

/** As if the time of whoever drives it had run out. */
export async function letGo(t: Trial, id: string): Promise<void> {
  const store = t.broker.deadLetters!;
  const [found] = await store.readDocuments("redrive", [id]);
  if (found === undefined) return;
  const value = { ...Object(found.value), driver: undefined };
  await store.writeDocuments("redrive", [{ id, value, ifVersion: found.version }], t.at(0));
}

/** The same, with another member. */
export const changed = <T extends object>(whole: T, name: keyof T, member: unknown): T =>
  new Proxy(whole, {
    get: (target, asked) => {
      const own: unknown = asked === name ? member : Reflect.get(target, asked);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });

type Verdict = "completed" | "same" | "other";

/** What a worker would do with all that it finds. Answers what it has run. */
export async function work(t: Trial, verdict: (task: LeasedTask) => Verdict, queue = t.queue): Promise<string[]> {
  const leased = await t.leaseAll({ queues: [queue] });
  await t.settle(
    leased.map((task) => {
      const is = verdict(task);
      if (is === "completed") return settled.completed(task);
      return settled.archived(task, is === "same" ? {} : { message: "another cause altogether", class: "Other" });
    }),
  );
  return leased.map(({ message }) => message.id);
}

/** Steps and works until the redrive is over, or has stopped. Answers what ran, in that order. */
export async function driven(
  t: Trial,
  letters: DeadLetters,
  id: string,
  verdict: (task: LeasedTask) => Verdict = () => "completed",
  queue = t.queue,
): Promise<{ ran: string[]; info: RedriveInfo }> {
  const ran: string[] = [];
  const stop = new AbortController();
  const worker = (async () => {
    while (!stop.signal.aborted) {
      ran.push(...(await work(t, verdict, queue)));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  try {
    const info = await letters.redrives.drive(id, { signal: AbortSignal.timeout(15_000) });
    return { ran, info };
  } finally {
    stop.abort();
    await worker;
  }
}

export const outcomesOf = async (letters: DeadLetters, id: string) => {
  const found: Record<string, string> = {};
  for await (const one of letters.redrives.outcomes(id)) found[one.id] = one.became;
  return found;
};

export function fail(error: unknown): never {
  throw error;
}
