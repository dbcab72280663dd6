import { expect } from "vitest";
import type { LeasedTask } from "../../src/broker/broker.js";
import { leaseMs } from "../../src/deadletter/redrive/driver.js";
import type { Redrives } from "../../src/deadletter/redrive/redrives.js";
import { settled } from "../support/builders.js";
import { describeBroker, type Trial } from "./describe-broker.js";
import {
  all,
  changed,
  changesNothing,
  death,
  dying,
  fail,
  lettersOf,
  outcomesOf,
  quick,
  work,
} from "./redrive-tools.js";

/**
 * What it asked storage to do last has been done, and it never heard of that; or is on its way, and is done when another has
 * taken over. Who dies before it asks leaves storage as who dies after what it asked before.
 */
type Moment = "after" | "late";

const ids = Array.from({ length: 12 }, (_, n) => `task-${String(n).padStart(2, "0")}`);
/** What it cannot move: gone by the time it comes to it, and (in another queue) taken there. They are moved last. */
const [taken, gone] = ["task-10", "task-11"];
/** Those fail again, with the same cause and with another. */
const [same, other] = ["task-03", "task-04"];
const verdict = ({ lease: { id } }: LeasedTask) => (id === same ? "same" : id === other ? "other" : "completed");

describeBroker("redrives killed at each step", ({ it }) => {
  for (const place of ["in its own queue", "in another queue"]) {
    const to = (t: Trial) => (place === "in its own queue" ? t.queue : t.queueNamed("fixup"));

    it(`run each task once ${place}, or name it, whichever write was their process's last`, async (t) => {
      await killedAtEach(t, (one, nth) => inherited(one, nth, "after", to(one)));
      await killedAtEach(t, (one, nth) => inherited(one, nth, "late", to(one)));
    });

    it(`leave no task in two places when they are cancelled then, ${place}`, async (t) => {
      await killedAtEach(t, (one, nth) => cancelled(one, nth, to(one)));
    });
  }
});

/** The first write, the second, … until there is none to be killed at. */
async function killedAtEach(t: Trial, isKilled: (t: Trial, nth: number) => Promise<boolean>): Promise<void> {
  let writes = 0;
  while (await isKilled(t.elsewhere(), writes + 1)) writes += 1;
  // It chooses, moves a few, moves the rest, sees what becomes of them, ends.
  expect(writes).toBeGreaterThan(12);
}

/** A redrive whose process dies at its n-th write. */
async function begun(t: Trial, to: string, nth: number, when: Moment) {
  await t.enqueue(ids.map((one) => t.task(one, { maxRetry: 0 })));
  await t.settle(
    (await t.leaseAll()).map((task) => settled.archived(task)),
    -90_000,
  );
  const letters = lettersOf(t);
  const more = to === t.queue ? {} : { queue: to };
  const how = { ...quick, attempts: 2, canary: 2, inFlight: 10, brake: 100, ...more };
  const { id } = await letters.redrives.start(all(t), how);
  let writes = 0;
  let late: (() => Promise<unknown>) | undefined;
  const doomed = dying(t, async (verb, carryOut) => {
    if (changesNothing(verb) || (writes += 1) !== nth) return carryOut();
    if (when === "after") await carryOut();
    if (when === "late") late = carryOut;
    throw new Error(death);
  });
  const ran: string[] = [];
  return {
    id,
    letters,
    ran,
    doomed: lettersOf(t, doomed).redrives,
    isKilled: () => writes >= nth,
    phase: async () => (await letters.redrives.get(id)).phase,
    step: async (driver: Redrives) => {
      try {
        await driver.step(fail);
      } finally {
        ran.push(...(await work(t, verdict, to)));
        // What is not kept any more goes at once.
        await t.broker.prune([t.queue, to], 100, t.at(2_000));
      }
    },
    /** What was still on its way. */
    arrives: async () => {
      await late?.();
      late = undefined;
    },
  };
}

/** By the clock of who drives it next the time of whoever is dead has run out. Answers whether there was such a write. */
async function inherited(t: Trial, nth: number, when: Moment, to: string): Promise<boolean> {
  const isAway = to !== t.queue;
  if (isAway)
    await t.enqueue([t.task(taken, { queue: to, type: "of somebody else" }, { processAtMs: t.at(3_600_000) })]);
  const { id, letters, ran, doomed, isKilled, phase, step, arrives } = await begun(t, to, nth, when);
  const { clock } = t.broker;
  const later = changed(clock, "nowMs", () => clock.nowMs() + leaseMs + 1);
  const heir = lettersOf(t, changed(t.broker, "clock", later)).redrives;
  let driver = doomed;
  for (let steps = 0, is = await phase(); is !== "ended"; steps += 1, is = await phase()) {
    expect(steps).toBeLessThan(40);
    if (is === "canary") await t.move([gone], "deleted");
    try {
      await step(driver);
      if (driver === heir) await arrives();
    } catch (error) {
      expect(error).toMatchObject({ message: death });
      driver = heir;
    }
  }
  await step(heir);
  await arrives();
  await step(heir);

  const notMoved = isAway ? [taken, gone] : [gone];
  const moved = ids.filter((one) => !notMoved.includes(one));
  expect(ran.toSorted()).toEqual(moved);
  const { counts, status } = await letters.redrives.get(id);
  expect({ status, ...counts }).toEqual({
    status: "done", left: 0, waiting: 0, succeeded: moved.length - 2, failedSame: 1, failedOther: 1, gone: 0,
    notMoved: notMoved.length,
  }); // prettier-ignore
  const outcomes = Object.fromEntries(ids.map((one) => [one, "succeeded"]));
  for (const one of notMoved) outcomes[one] = "notMoved";
  expect(await outcomesOf(letters, id)).toEqual({ ...outcomes, [same]: "failedSame", [other]: "failedOther" });

  // Each was let go of once, which is written with the deed, and what failed has all its own again but for the attempts.
  const [acts = []] = await t.broker.audit.read([{ log: t.queue }], 100, true);
  const deeds = acts.filter(({ verb }) => verb === "redrive").flatMap(({ what }) => JSON.parse(what) as string[]);
  expect(deeds.toSorted()).toEqual(moved);
  for (const one of [same, other])
    expect(await t.find(one, to)).toMatchObject({ state: "archived", message: { retentionMs: 0, maxRetry: 1 } });
  expect(await t.counts()).toEqual({ archived: isAway ? 1 : 2 });
  // Others may have them now, as often as is allowed.
  expect(await runAgain(t, isAway ? [taken] : [same, other], 2)).toEqual(isAway ? ["chosen"] : ["chosen", "chosen"]);
  if (!isAway) expect(await runAgain(t, [same, other], 1)).toEqual(["bound", "bound"]);
  expect(await t.broker.deadLetters!.readDocuments("redrive", [id])).toEqual([]);
  return isKilled();
}

/** Somebody ends it at once. */
async function cancelled(t: Trial, nth: number, to: string): Promise<boolean> {
  const { id, letters, ran, doomed, isKilled, phase, step } = await begun(t, to, nth, "after");
  try {
    for (let steps = 0; (await phase()) !== "ended"; steps += 1) {
      expect(steps).toBeLessThan(40);
      await step(doomed);
    }
  } catch (error) {
    expect(error).toMatchObject({ message: death });
    if ((await phase()) !== "ended") await letters.redrives.cancel(id);
  }
  await step(letters.redrives);

  const again = [same, other].filter((one) => ran.includes(one));
  const here = (await t.ids("archived")).filter((one) => to !== t.queue || !again.includes(one));
  // Each has run, or is still a dead letter, and not both.
  expect([...ran, ...here].toSorted()).toEqual(ids);
  const outcomes = Object.entries(await outcomesOf(letters, id));
  const named = outcomes.filter(([, became]) => became === "notMoved").map(([one]) => one);
  if (outcomes.length > 0) expect(named.toSorted()).toEqual(here.toSorted());
  return isKilled();
}

/** Whether a redrive might choose them, if that may be done so often. */
async function runAgain(t: Trial, those: readonly string[], mostRedrives: number): Promise<string[]> {
  const tasks = those.map((id) => ({ id, atMs: 0 }));
  const how = { dry: true, mayOnce: false, mostRedrives };
  const receipts = await t.broker.deadLetters!.chooseDead("", t.queue, tasks, how, t.at(0));
  return receipts.map(({ status }) => status);
}
