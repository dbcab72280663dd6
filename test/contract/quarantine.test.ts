import { expect } from "vitest";
import { DeadLetters } from "../../src/deadletter/index.js";
import { settled } from "../support/builders.js";
import { describeBroker, type Trial } from "./describe-broker.js";

async function dead(t: Trial, ids: readonly string[]): Promise<void> {
  await t.enqueue(ids);
  await t.settle((await t.leaseAll()).map((task) => settled.archived(task)));
}
const inQuarantine = async (t: Trial, letters: DeadLetters) =>
  (await letters.search(`queue:"${t.queue}" is:quarantined`)).items.map(({ id }) => id);

describeBroker("the quarantine", ({ it }) => {
  it("holds what workers died of, and what somebody put there until it is taken back", async (t) => {
    const letters = new DeadLetters(t.broker, { actor: "ann" });
    await t.enqueue(["poison"], -900_000);
    for (const ms of [-900_000, -800_000, -700_000]) {
      await t.leaseOne({}, ms);
      await t.reclaim(ms + 60_000);
    }
    await dead(t, ["a", "b", "c"]);
    await t.enqueue(["pending"]);

    const put = await letters.quarantine(
      { queue: t.queue, ids: ["a", "nobody", "pending", "b"] },
      { reason: "takes all memory" },
    );
    expect(put.receipts).toEqual([
      { id: "a", status: "marked" },
      { id: "nobody", status: "notFound" },
      { id: "pending", status: "wrongState" },
      { id: "b", status: "marked" },
    ]);
    expect((await inQuarantine(t, letters)).toSorted()).toEqual(["a", "b", "poison"]);
    expect(await t.find("a")).toMatchObject({ quarantined: { actor: "ann", reason: "takes all memory" } });

    await letters.unquarantine({ queue: t.queue, ids: ["a", "poison"] });
    expect((await inQuarantine(t, letters)).toSorted()).toEqual(["b", "poison"]);
    const acts = (await t.broker.audit.read([{ log: t.queue }], 100))[0]!;
    expect(acts.slice(-2)).toMatchObject([
      { verb: "quarantine", what: '["a","b"]', count: 2, actor: "ann", reason: "takes all memory" },
      { verb: "unquarantine", what: '["a","poison"]', count: 2, actor: "ann" },
    ]);
  });

  it("lets one run, which is there again when it fails again", async (t) => {
    const letters = new DeadLetters(t.broker);
    await dead(t, ["a", "b"]);
    await letters.quarantine({ queue: t.queue, ids: ["a"] });

    expect(await letters.runQuarantined(t.queue, "a")).toMatchObject({ id: "a" });
    expect(await t.stateOf("a")).toBe("pending");
    await expect(letters.runQuarantined(t.queue, "a")).rejects.toMatchObject({ code: "NOT_QUARANTINED" });
    await expect(letters.runQuarantined(t.queue, "b")).rejects.toMatchObject({ code: "NOT_QUARANTINED" });
    await expect(letters.runQuarantined(t.queue, "nobody")).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
    await t.settle([settled.archived(await t.leaseOne())]);
    expect(await inQuarantine(t, letters)).toEqual(["a"]);
  });

  it("keeps its marks in the trash", async (t) => {
    const letters = new DeadLetters(t.broker);
    await dead(t, ["a"]);
    await letters.quarantine({ queue: t.queue, ids: ["a"] });
    const act = { actor: "a", reason: "r", requestId: "q" };
    await t.broker.deadLetters!.discard(t.queue, ["a"], t.at(3_600_000), act, t.at(0));
    await t.broker.deadLetters!.restore(t.queue, ["a"], act, t.at(1_000));

    expect(await inQuarantine(t, letters)).toEqual(["a"]);
  });

  it("takes ids alone", async (t) => {
    const letters = new DeadLetters(t.broker);
    const all = { queue: t.queue, state: "archived" } as unknown as { queue: string; ids: string[] };

    await expect(letters.quarantine(all)).rejects.toMatchObject({ data: { option: "quarantine.selection.ids" } });
  });
});
