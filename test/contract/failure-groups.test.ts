import { expect } from "vitest";
import type { QueueGroups } from "../../src/broker/failure-groups.js";
import { fingerprintOf } from "../../src/core/fingerprint.js";
import type { Failure } from "../../src/core/outcome.js";
import { failure, settled } from "../support/builders.js";
import { describeBroker, type Trial } from "./describe-broker.js";

/** Tasks that died of this. */
async function die(t: Trial, ids: readonly string[], why: Partial<Failure> = {}, ms = 0): Promise<void> {
  await t.enqueue(ids.map((id) => t.task(id)));
  const leased = await t.leaseAll({}, ms);
  await t.settle(
    leased.map((task) => settled.archived(task, why)),
    ms,
  );
}
const fingerprint = (why: Partial<Failure> = {}, type = "test:plain") =>
  fingerprintOf(type, failure({ reason: "retries_exhausted", ...why }));

const store = (t: Trial) => t.broker.deadLetters!;
const index = (t: Trial, ms = 0, limit = 100) => store(t).indexDeadLetters([t.queue], limit, t.at(ms), true);
async function groups(t: Trial, ms = 0): Promise<QueueGroups> {
  const [found] = await store(t).failureGroups([t.queue], t.at(ms));
  return found!;
}
/** Counts by fingerprint, of groups that have members. */
const counts = async (t: Trial) =>
  Object.fromEntries((await groups(t)).groups.filter(({ count }) => count > 0).map((g) => [g.fingerprint, g.count]));
const membersOf = async (t: Trial, of = fingerprint()) =>
  (await store(t).groupMembers(t.queue, of, { limit: 100 })).items.map(({ id }) => id);

describeBroker("failure groups", ({ it }) => {
  it("gather what died of one cause, with what is known of it", async (t) => {
    await die(t, ["a"], { message: "no row 17" });
    await die(t, ["b"], { message: "no row 99" }, 5_000);
    await die(t, ["c"], { message: "no disk", class: "DiskError" }, 9_000);

    expect(await index(t)).toBe(3);

    const { unindexed, groups: found } = await groups(t, 10_000);
    expect(unindexed).toBe(0);
    expect(found).toHaveLength(2);
    expect(found).toContainEqual({
      fingerprint: fingerprint({ message: "no row 5" }),
      count: 2,
      lastHour: 2,
      hourBefore: 0,
      firstSeenAtMs: t.at(0),
      lastSeenAtMs: t.at(5_000),
      oldestAtMs: t.at(0),
      types: ["test:plain"],
      reasons: ["retries_exhausted"],
      builds: [],
      sample: { id: "b", class: "Error", message: "no row 99" },
    });
    expect((await groups(t, 3_700_000)).groups.map(({ lastHour, hourBefore }) => [lastHour, hourBefore])).toEqual([
      [0, expect.any(Number)],
      [0, expect.any(Number)],
    ]);
  });

  it("are told apart from what is in none yet, and nothing is looked at twice", async (t) => {
    await die(t, ["a", "b", "c"]);
    expect(await groups(t)).toEqual({ queue: t.queue, unindexed: 3, groups: [] });

    expect(await index(t, 0, 2)).toBe(2);
    expect(await groups(t)).toMatchObject({ unindexed: 1 });
    expect(await index(t, 0, 2)).toBe(1);
    expect((await groups(t)).unindexed).toBe(0);
    expect(await counts(t)).toEqual({ [fingerprint()]: 3 });
    // On Redis a first walk looks whether there are others; then nothing is left to look at.
    for (let n = 0; n < 5; n += 1) await index(t, n * 1_000);
    expect(await index(t, 6_000)).toBe(0);
  });

  it("lose who is run or deleted, and get who dies again, be it of something else", async (t) => {
    await die(t, ["a", "b", "c"]);
    await index(t);

    await t.move(["a"], "pending");
    await t.move(["b"], "deleted");
    expect(await counts(t)).toEqual({ [fingerprint()]: 1 });
    expect(await membersOf(t)).toEqual(["c"]);

    const [again] = await t.leaseAll();
    await t.settle([settled.archived(again!, { message: "other" })], 7_000);
    await index(t, 7_000);
    expect(await counts(t)).toEqual({ [fingerprint()]: 1, [fingerprint({ message: "other" })]: 1 });
    expect(await membersOf(t, fingerprint({ message: "other" }))).toEqual(["a"]);

    await t.move("archived", "deleted");
    expect(await counts(t)).toEqual({});
    // What was known of the cause stays for a while.
    expect((await groups(t)).groups.map(({ count, sample }) => `${count} ${sample?.message}`).toSorted()).toEqual([
      "0 boom",
      "0 other",
    ]);
  });

  it("have whoever was archived by hand, too, and whom its worker's crashes brought there", async (t) => {
    await t.enqueue(["a"]);
    await t.move(["a"], "archived");
    await t.enqueue([t.task("b", {}, { atMostOnce: true })]);
    await t.leaseAll({ leaseMs: 5_000 });
    await t.reclaim(3_600_000);

    await index(t, 3_600_000);

    const reasons = (await groups(t)).groups.flatMap((group) => group.reasons);
    expect(reasons.toSorted()).toEqual(["lease_expired", "manual"]);
  });

  it("go by what a definition said of the cause, across types", async (t) => {
    await t.enqueue([t.task("a", { type: "one" }), t.task("b", { type: "two" })]);
    const [a, b] = await t.leaseAll();
    await t.settle([
      settled.archived(a!, { fingerprint: "bank closed", message: "x" }),
      settled.archived(b!, { fingerprint: "bank closed", message: "y" }),
    ]);
    await index(t);

    const { groups: found } = await groups(t);
    expect(found).toMatchObject([{ count: 2, types: ["one", "two"] }]);
  });

  it("page their members, forwards and backwards", async (t) => {
    const ids = Array.from({ length: 5 }, (_, n) => `id-${n}`);
    for (const [n, id] of ids.entries()) await die(t, [id], {}, n * 1_000);
    await index(t);

    const page = async (cursor?: string, backwards = false) => {
      const { items, next, previous } = await store(t).groupMembers(t.queue, fingerprint(), {
        limit: 2,
        cursor,
        backwards,
      });
      return { ids: items.map(({ id }) => id), next, previous };
    };
    const first = await page();
    expect(first).toMatchObject({ ids: ["id-0", "id-1"], previous: undefined });
    const second = await page(first.next);
    expect(second.ids).toEqual(["id-2", "id-3"]);
    expect(await page(second.next)).toMatchObject({ ids: ["id-4"], next: undefined });
    expect((await page(second.previous, true)).ids).toEqual(["id-0", "id-1"]);
    expect((await page(undefined, true)).ids).toEqual(["id-3", "id-4"]);
  });

  it("end with their queue", async (t) => {
    await die(t, ["a"]);
    await index(t);
    for (let n = 0; n < 5; n += 1) {
      const by = { actor: "a", reason: "", requestId: "r" };
      if ((await t.broker.dropQueue(t.queue, { force: true, limit: 100 }, by, t.at(0))) === "dropped") break;
    }
    expect(await groups(t)).toMatchObject({ unindexed: 0, groups: [] });
  });
});
