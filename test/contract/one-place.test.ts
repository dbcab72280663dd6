import { expect } from "vitest";
import type { LeasedTask } from "../../src/broker/broker.js";
import { type Move, moves, type Place } from "../../src/core/state.js";
import type { DeadMoving } from "../../src/broker/redriving.js";
import { taskKey } from "../../src/redis/keys.js";
import { settled, withToken } from "../support/builders.js";
import { by, describeBroker, states, type Trial } from "./describe-broker.js";

/** Late enough that whatever can run out or fall due has. */
const muchLater = 30 * 86_400_000;

async function lease(t: Trial, retentionMs: number): Promise<LeasedTask> {
  await t.enqueue([t.task("1", { retentionMs })]);
  return t.leaseOne();
}

/** As a Go peer's task of a group: only there it can be. */
async function grouped(t: Trial): Promise<void> {
  const key = taskKey(t.queue, "1");
  await t.storage.server!(t.queue).hset(key, "group", "g");
}

/** Brings task "1" into a place; the answer is how its worker held it, if one did. */
const bring: Record<Place, (t: Trial, retentionMs: number) => Promise<LeasedTask | void>> = {
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
  async aggregating(t, retentionMs) {
    await bring.scheduled(t, retentionMs);
    await grouped(t);
    await t.promote(muchLater);
  },
};

async function intoTrash(t: Trial, retentionMs: number): Promise<LeasedTask | void> {
  const task = await bring.archived(t, retentionMs);
  await hands["discard: into the trash"]!(t, stranger(t, task), 0);
  return task;
}

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
/** What operators do, and what is done for them: as the table says it. */
const hands: typeof verbs = {
  "move: run": (t, _held, ms) => t.move(["1"], "pending", { ms }),
  "move: archive": (t, _held, ms) => t.move(["1"], "archived", { ms }),
  "move: delete": (t, _held, ms) => t.move(["1"], "deleted", { ms }),
  "moveDead: a redrive, to run at once": (t, _held, ms) => moveDead(t, ms, { to: "pending" }),
  "moveDead: a redrive, to run later": (t, _held, ms) => moveDead(t, ms, { to: "scheduled", dueMs: t.at(ms + 60_000) }),
  "moveDead: another queue has taken it": (t, _held, ms) => moveDead(t, ms, { to: "away" }),
  "discard: into the trash": (t, _held, ms) => dead(t).discard(t.queue, ["1"], t.at(ms + 60_000), by, t.at(ms)),
  "restore: out of the trash": (t, _held, ms) => dead(t).restore(t.queue, ["1"], by, t.at(ms)),
  "evict: past a bound that somebody has set": async (t, _held, ms) => {
    const found = await t.find("1");
    const seen = { id: "1", archivedAtMs: found?.archivedAtMs ?? 0, message: found?.bytes ?? new Uint8Array() };
    await dead(t).evict(t.queue, [seen], "age", by, t.at(ms));
  },
  async dropQueue(t, _held, ms) {
    while ((await t.broker.dropQueue(t.queue, { force: true, limit: 100 }, by, t.at(ms))) === "more");
  },
};

const dead = (t: Trial) => t.broker.deadLetters!;

async function moveDead(t: Trial, ms: number, how: Pick<DeadMoving, "to" | "dueMs">): Promise<void> {
  const message = (await t.find("1"))?.bytes ?? new Uint8Array();
  const letters = [{ id: "1", expected: message, message, mark: "" }];
  const rest = { attempts: 1, mostRedrives: 5, lookAtMs: 0, verb: "redrive" } as const;
  await dead(t).moveDead("", t.queue, letters, { ...how, ...rest }, by, t.at(ms));
}

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
  const says = (move: Move) =>
    verb in hands ? move.by === verb : move.by.split(/[ :,]+/).includes(verb.split(" ")[0]!);
  return moves.some((move) => [start, from].includes(move.from) && move.to === to && says(move));
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
  "active → pending by exchange: released": async (t) => t.settle([settled.released(await lease(t, 0))]),
  "active → pending by reclaim: its time ran out": async (t) => {
    await lease(t, 0);
    await t.reclaim(muchLater);
  },
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
  "scheduled → aggregating by promote: a Go peer's task that has a group": (t) => bring.aggregating(t, 0),
  "retry → aggregating by promote: a Go peer's task that has a group": async (t) => {
    await bring.retry(t, 0);
    await grouped(t);
    await t.promote(muchLater);
  },
  "gone → archived by restore: out of the trash": async (t) => {
    const held = await intoTrash(t, 0);
    await hands["restore: out of the trash"]!(t, stranger(t, held), 0);
  },
  "completed → gone by prune": async (t) => {
    await bring.completed(t, 0);
    await t.prune(muchLater);
  },
};
for (const from of states) {
  for (const [verb, act] of Object.entries(hands)) {
    for (const to of ["pending", "scheduled", "archived", "gone"]) {
      walks[`${from} → ${to} by ${verb}`] = async (t) => {
        const held = await bring[from](t, 60_000);
        await act(t, stranger(t, held), 0);
      };
    }
  }
}
const nameOf = (move: Move) => `${move.from} → ${move.to} by ${move.by}`;

const isOfGroups = (from: string, to: string) => [from, to].includes("aggregating");

/** Who acts makes a difference to its worker's verbs alone, and the retention to what ends. */
const groupsOfVerbs = [
  { mover: "verb", acts: verbs, retentions: [0, 60_000], actors: ["its worker", "a stranger"] },
  { mover: "operator", acts: hands, retentions: [60_000], actors: ["a stranger"] },
] as const;

describeBroker("one place", ({ it }) => {
  const places = Object.entries(bring).map(([place, there]) => [place as Place, place, there] as const);
  const all = [...places, ["gone", "in the trash", intoTrash] as const];
  const both = all.flatMap((one) => groupsOfVerbs.map((group) => [...one, group] as const));
  for (const [from, where, bringThere, { mover, acts, retentions, actors }] of both) {
    it(
      `lets no ${mover} move a task that is ${where} but as the table says`,
      async (t) => {
        for (const [verb, act] of Object.entries(acts)) {
          for (const retentionMs of retentions) {
            for (const who of actors) {
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
      { timeoutMs: 60_000, ...(from === "aggregating" && { needs: "groups" }) },
    );
  }

  for (const move of moves.filter(({ by: verb }) => !verb.includes("cannot be decoded"))) {
    it(
      `moves a task ${nameOf(move)}`,
      async (t) => {
        await walks[nameOf(move)]!(t);

        expect(await placeOf(t)).toBe(move.to);
      },
      isOfGroups(move.from, move.to) ? { needs: "groups" } : {},
    );
  }
});
