import { expect } from "vitest";
import type { LeasedTask } from "../../src/broker/broker.js";
import { type Move, moves, type Place } from "../../src/core/state.js";
import { settled, withToken } from "../support/builders.js";
import { describeBroker, states, type Trial } from "./describe-broker.js";

/** Late enough that whatever can run out or fall due has. */
const muchLater = 30 * 86_400_000;

async function lease(t: Trial, retentionMs: number): Promise<LeasedTask> {
  await t.enqueue([t.task("1", { retentionMs })]);
  return t.leaseOne();
}

/** Brings task "1" into a place; the answer is how its worker held it, if one did. */
const bring: Record<Exclude<Place, "aggregating">, (t: Trial, retentionMs: number) => Promise<LeasedTask | void>> = {
  async new() {},
  async pending(t, retentionMs) {
    await t.enqueue([t.task("1", { retentionMs })]);
  },
  async scheduled(t, retentionMs) {
    await t.enqueue([t.task("1", { retentionMs }, { processAtMs: t.at(60_000) })]);
  },
  active: lease,
  async retry(t, retentionMs) {
    const task = await lease(t, retentionMs);
    await t.settle([settled.retry(task, t.at(60_000))]);
    return task;
  },
  async archived(t, retentionMs) {
    const task = await lease(t, retentionMs);
    await t.settle([settled.archived(task)]);
    return task;
  },
  async completed(t) {
    const task = await lease(t, 60_000);
    await t.settle([settled.completed(task)]);
    return task;
  },
  async gone(t) {
    const task = await lease(t, 0);
    await t.settle([settled.completed(task)]);
    return task;
  },
};

/** Every verb that might move a task, by the word that the table of moves has for it. */
const verbs: Record<string, (t: Trial, held: LeasedTask, ms: number) => Promise<unknown>> = {
  enqueue: (t, _held, ms) => t.enqueue(["1"], ms),
  "enqueue for later": (t, _held, ms) => t.enqueue([t.task("1", {}, { processAtMs: t.at(ms + 60_000) })], ms),
  lease: (t, _held, ms) => t.lease({ limit: 1 }, ms),
  completed: (t, held, ms) => t.settle([settled.completed(held)], ms),
  revoked: (t, held, ms) => t.settle([settled.revoked(held)], ms),
  retry: (t, held, ms) => t.settle([settled.retry(held, t.at(ms + 60_000))], ms),
  archived: (t, held, ms) => t.settle([settled.archived(held)], ms),
  released: (t, held, ms) => t.settle([settled.released(held)], ms),
  reclaim: (t, _held, ms) => t.reclaim(ms),
  promote: (t, _held, ms) => t.promote(ms),
  prune: (t, _held, ms) => t.prune(ms),
};
/** What operators do. */
const hands: typeof verbs = {
  "move: run": (t, _held, ms) => t.move(["1"], "pending", { ms }),
  "move: archive": (t, _held, ms) => t.move(["1"], "archived", { ms }),
  "move: delete": (t, _held, ms) => t.move(["1"], "deleted", { ms }),
};
const settling = ["completed", "revoked", "retry", "archived", "released"];

const stranger = (t: Trial, held: LeasedTask | void): LeasedTask =>
  held === undefined
    ? {
        message: t.task("1").message,
        lease: { queue: t.queue, id: "1", token: "x", untilMs: t.at(0) },
        crashes: 0,
        returns: 0,
        atMostOnce: false,
      }
    : withToken(held, "x");

/** Where task "1" is: by looking for it, by the counts and by the lists, which must say the same. */
async function placeOf(t: Trial): Promise<Place> {
  const found = await t.stateOf("1");
  const listed = await Promise.all(states.map((state) => t.ids(state)));

  expect(await t.counts()).toEqual(found === "gone" ? {} : { [found]: 1 });
  expect(states.filter((_, n) => listed[n]!.includes("1"))).toEqual(found === "gone" ? [] : [found]);
  return found;
}

/** A task that is over and one that never was look the same, and make way for a new one alike. */
function isMove(from: Place, to: Place, verb: string): boolean {
  if (to === from || (from === "new" && to === "gone")) return true;
  const start = from === "gone" ? "new" : from;
  const word = verb in hands ? verb : verb.split(" ")[0]!;
  return moves.some((move) => move.from === start && move.to === to && move.by.includes(word));
}

type Walk = (t: Trial) => Promise<unknown>;

/** How each move of the table is made; the one for damaged messages is in undecodable.test.ts. */
const walks: Record<string, Walk> = {
  "new → pending by enqueue": (t) => bring.pending(t, 0),
  "new → scheduled by enqueue": (t) => bring.scheduled(t, 0),
  "pending → active by exchange: lease": (t) => bring.active(t, 0),
  "active → gone by exchange: completed without retention, or revoked": (t) => bring.gone(t, 0),
  "active → completed by exchange: completed with retention": (t) => bring.completed(t, 0),
  "active → retry by exchange: retry": (t) => bring.retry(t, 0),
  "active → archived by exchange: archived": (t) => bring.archived(t, 0),
  "active → pending by exchange: released, or reclaim": async (t) => t.settle([settled.released(await lease(t, 0))]),
  "active → archived by reclaim: quarantined, or an at-most-once task": async (t) => {
    await t.enqueue([t.task("1", {}, { atMostOnce: true })]);
    await t.leaseOne();
    await t.reclaim(muchLater);
  },
  "scheduled → pending by promote": async (t) => {
    await bring.scheduled(t, 0);
    await t.promote(muchLater);
  },
  "retry → pending by promote": async (t) => {
    await bring.retry(t, 0);
    await t.promote(muchLater);
  },
  "completed → gone by prune": async (t) => {
    await bring.completed(t, 0);
    await t.prune(muchLater);
  },
};
for (const from of ["pending", "scheduled", "retry", "archived", "completed"] as const) {
  for (const [verb, act] of Object.entries(hands)) {
    for (const to of ["pending", "archived", "gone"]) {
      walks[`${from} → ${to} by ${verb}`] = async (t) => {
        const held = await bring[from](t, 60_000);
        await act(t, stranger(t, held), 0);
      };
    }
  }
}
const nameOf = ({ from, to, by }: Move) => `${from} → ${to} by ${by}`;

const groupsOfVerbs = [
  { who: "verb", acts: verbs },
  { who: "operator", acts: hands },
] as const;

describeBroker("one place", ({ it }) => {
  const all = Object.entries(bring) as [Place, (typeof bring)["new"]][];
  const both = all.flatMap((one) => groupsOfVerbs.map((group) => [...one, group] as const));
  for (const [from, bringThere, { who: mover, acts }] of both) {
    it(
      `lets no ${mover} move a task that is ${from} but as the table says`,
      async (t) => {
        for (const [verb, act] of Object.entries(acts)) {
          for (const retentionMs of [0, 60_000]) {
            for (const who of ["its worker", "a stranger"]) {
              const other = t.elsewhere();
              const held = await bringThere(other, retentionMs);
              if (who === "its worker" && held === undefined) continue;

              await act(other, who === "its worker" ? held! : stranger(other, held), muchLater);
              const to = await placeOf(other);

              expect([from, to, verb, who, isMove(from, to, verb)]).toEqual([from, to, verb, who, true]);
              if (who === "a stranger" && settling.includes(verb)) expect(to).toBe(from === "new" ? "gone" : from);
            }
          }
        }
      },
      { timeoutMs: 60_000 },
    );
  }

  // Only Go peers make groups so far: test/interop/steering.test.ts.
  const tried = moves.filter(({ from, by }) => !by.includes("cannot be decoded") && from !== "aggregating");
  for (const move of tried) {
    it(`moves a task ${nameOf(move)}`, async (t) => {
      await walks[nameOf(move)]!(t);

      expect(await placeOf(t)).toBe(move.to);
    });
  }
});
