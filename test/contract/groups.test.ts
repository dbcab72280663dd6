import { expect } from "vitest";
import { DeadLetters } from "../../src/deadletter/index.js";
import type { Failure } from "../../src/core/outcome.js";
import { settled } from "../support/builders.js";
import { describeBroker, type Trial } from "./describe-broker.js";

/** The facade asks the clock for the time: deaths are told from now. */
async function die(t: Trial, queue: string, ids: readonly string[], why: Partial<Failure>, nowMs: number) {
  await t.broker.enqueue(
    ids.map((id) => t.task(id, { queue })),
    nowMs,
  );
  const lease = t.request({ queues: [queue] });
  const { leased } = await t.broker.exchange({ settle: [], lease }, nowMs);
  await t.broker.exchange({ settle: leased.map((task) => settled.archived(task, why)) }, nowMs);
}
const lettersOf = (t: Trial) => new DeadLetters(t.broker, { actor: "ada" });
/** Of this test: others share the storage. */
const message = (t: Trial, text: string) => ({
  message: `${text} of ${t.queue.replaceAll(/\d/g, (d) => "abcdefghij"[Number(d)]!)}`,
});
const groupsOf = async (t: Trial, text: string) =>
  (await lettersOf(t).groups()).groups.filter(({ sample }) => sample?.message === message(t, text).message);

describeBroker("causes of dead letters", ({ it }) => {
  it("are one group over all queues, and page through them", async (t) => {
    const [one, two] = [t.queueNamed("one"), t.queueNamed("two")];
    const nowMs = t.broker.clock.nowMs();
    await die(t, one, ["a", "b", "c"], message(t, "boom"), nowMs - 4_000_000);
    await die(t, two, ["d"], message(t, "boom"), nowMs - 10_000);

    const [group] = await groupsOf(t, "boom");

    expect(group).toMatchObject({
      status: "open",
      count: 4,
      lastHour: 1,
      hourBefore: 3,
      queues: [
        { name: one, count: 3 },
        { name: two, count: 1 },
      ],
      types: ["test:plain"],
      reasons: ["retries_exhausted"],
      sample: { queue: two, id: "d" },
    });
    expect((await lettersOf(t).groups({ queues: [two] })).groups).toMatchObject([{ count: 1 }]);
    const letters = lettersOf(t);
    for (const backwards of [false, true]) {
      const seen: string[][] = [];
      let cursor: string | undefined;
      do {
        const page = await letters.groupTasks(group!.fingerprint, { limit: 2, cursor, backwards });
        seen.push(page.items.map(({ id }) => id));
        cursor = page.next;
      } while (cursor !== undefined);
      expect(seen.filter((ids) => ids.length > 0)).toEqual(
        backwards
          ? [
              ["c", "d"],
              ["a", "b"],
            ]
          : [
              ["a", "b"],
              ["c", "d"],
            ],
      );
    }
  });

  it("are acknowledged, noted, resolved, and regress when they are seen again, with what was learned", async (t) => {
    const nowMs = t.broker.clock.nowMs();
    await die(t, t.queue, ["a"], message(t, "leak"), nowMs - 60_000);
    const letters = lettersOf(t);
    const [{ fingerprint } = { fingerprint: "" }] = await groupsOf(t, "leak");

    expect(await letters.acknowledgeGroup(fingerprint)).toMatchObject({
      status: "acknowledged",
      state: { setBy: "ada" },
    });
    await letters.noteGroup(fingerprint, "two lines\nof text", { actor: "bob" });
    await letters.resolveGroup(fingerprint, { cause: "a hole", fix: "a plug", lesson: "look twice" });
    await t.broker.move(
      { queue: t.queue, ids: ["a"] },
      "deleted",
      { actor: "a", reason: "", requestId: "r" },
      { limit: 1 },
      nowMs,
    );

    const kept = await letters.group(fingerprint);
    expect(kept).toMatchObject({
      status: "resolved",
      count: 0,
      state: { notes: [{ actor: "bob", text: "two lines\nof text" }] },
    });
    await die(t, t.queue, ["b"], message(t, "leak"), nowMs + 5_000);
    const again = await groupsOf(t, "leak");
    expect(again).toMatchObject([
      {
        status: "regressed",
        count: 1,
        state: { resolutions: [{ cause: "a hole", fix: "a plug", lesson: "look twice" }] },
      },
    ]);
    expect((await letters.groups({ status: "regressed" })).groups.map((group) => group.fingerprint)).toContain(
      fingerprint,
    );
    expect(await letters.reopenGroup(fingerprint)).toMatchObject({ status: "open" });

    const [acts] = await t.broker.audit.read([{ log: "" }], 500, true);
    expect(
      acts!
        .filter(({ what }) => what.includes(fingerprint))
        .map(({ verb, actor }) => [verb, actor])
        .toReversed(),
    ).toEqual([
      ["group ack", "ada"],
      ["group note", "bob"],
      ["group resolve", "ada"],
      ["group reopen", "ada"],
    ]);
  });

  it("are snoozed for a while", async (t) => {
    await die(t, t.queue, ["a"], message(t, "noise"), t.broker.clock.nowMs() - 1_000);
    const [{ fingerprint } = { fingerprint: "" }] = await groupsOf(t, "noise");
    const snoozed = await lettersOf(t).snoozeGroup(fingerprint, { for: "4h" });

    expect(snoozed.status).toBe("snoozed");
    expect(snoozed.state.untilMs! - snoozed.state.setAtMs).toBe(4 * 3_600_000);
  });

  it("of which nobody has heard are not found; what cannot be said is refused", async (t) => {
    const letters = lettersOf(t);
    const unknown = "v1:00000000deadbeef";
    await expect(letters.group(unknown)).rejects.toMatchObject({ code: "GROUP_NOT_FOUND" });
    await expect(letters.noteGroup(unknown, "x")).rejects.toMatchObject({ code: "GROUP_NOT_FOUND" });
    await expect(letters.group("v1:x")).rejects.toThrow(/16 hex digits/);
    await expect(letters.resolveGroup(unknown, {})).rejects.toThrow(/cause/);
    await expect(letters.noteGroup(unknown, " ")).rejects.toThrow(/1 to 4000 characters/);
    await expect(letters.groups({ status: "gone" as "open" })).rejects.toThrow(/must be of open/);
  });

  it("keep no secret that slipped into what was said of them", async (t) => {
    await die(t, t.queue, ["a"], message(t, "secret"), t.broker.clock.nowMs() - 1_000);
    const [{ fingerprint } = { fingerprint: "" }] = await groupsOf(t, "secret");

    const { state } = await lettersOf(t).noteGroup(fingerprint, "log in as postgres://bob:hunter22@db/x");

    expect(state.notes[0]!.text).not.toContain("hunter22");
  });
});
