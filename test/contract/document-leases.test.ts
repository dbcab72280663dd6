import { expect } from "vitest";
import { DocumentLease, type LeasePlace } from "../../src/broker/document-lease.js";
import { describeBroker, type Trial } from "./describe-broker.js";

const leaseMs = 10_000;
const store = (t: Trial) => t.broker.deadLetters!;
const leaseOf = (t: Trial, holder: string, place: Partial<LeasePlace> = {}, documents = store(t)) =>
  new DocumentLease(documents, { kind: "duty", id: t.queueNamed("lease"), leaseMs, holder, ...place });

describeBroker("leases in documents", ({ it }) => {
  it("have one holder at a time, and another one when its time has run out or it has given it back", async (t) => {
    const [one, other] = [leaseOf(t, "one"), leaseOf(t, "other")];

    expect(await one.hold(t.at(0))).toBe(true);
    expect(await other.hold(t.at(9_999))).toBe(false);
    expect(one.isOursAt(t.at(9_999))).toBe(true);
    expect(await other.hold(t.at(10_000))).toBe(true);
    await other.release(t.at(10_001));
    expect(await one.hold(t.at(10_001))).toBe(true);
  });

  it("are renewed when they are half over, and not before", async (t) => {
    const [one, other] = [leaseOf(t, "one"), leaseOf(t, "other")];
    await one.hold(t.at(0));
    await one.hold(t.at(4_999));
    expect(one.untilMs).toBe(t.at(10_000));

    expect(await one.hold(t.at(5_000))).toBe(true);
    expect(one.untilMs).toBe(t.at(15_000));
    expect(await other.hold(t.at(12_000))).toBe(false);
  });

  it("are over for a holder that was away too long: it renews nothing, and gives nothing back", async (t) => {
    const [late, other] = [leaseOf(t, "late"), leaseOf(t, "other")];
    await late.hold(t.at(0));
    await other.hold(t.at(10_000));

    expect(late.isOursAt(t.at(10_001))).toBe(false);
    await late.release(t.at(10_001));
    expect(await late.hold(t.at(10_001))).toBe(false);
    expect(await other.hold(t.at(19_000))).toBe(true);
  });

  it("go to one of two that find them free at once", async (t) => {
    // Both have read before either writes.
    let readers = 0;
    let both = () => {};
    const read = new Promise<void>((resolve) => (both = resolve));
    const slow = {
      async readDocuments(...given: Parameters<ReturnType<typeof store>["readDocuments"]>) {
        const found = await store(t).readDocuments(...given);
        if ((readers += 1) === 2) both();
        await read;
        return found;
      },
      writeDocuments: store(t).writeDocuments.bind(store(t)),
    };
    const leases = ["one", "other"].map((holder) => leaseOf(t, holder, {}, slow as ReturnType<typeof store>));

    const held = await Promise.all(leases.map((lease) => lease.hold(t.at(0))));

    expect(held.filter((isHeld) => isHeld)).toHaveLength(1);
  });

  it("hold nobody up that are no leases, or of a clock that was far ahead", async (t) => {
    const id = t.queueNamed("lease");
    for (const value of ["text", { holder: 1 }, { holder: "ahead", untilMs: t.at(10_001) }]) {
      const [found] = await store(t).readDocuments("duty", [id]);
      await store(t).writeDocuments("duty", [{ id, value, ifVersion: found?.version ?? 0 }], t.at(0));
      expect(await leaseOf(t, "one").hold(t.at(0))).toBe(true);
    }
  });

  it("in a field leave the rest of their document alone, whatever others write there meanwhile", async (t) => {
    const id = t.queueNamed("lease");
    const value = async () => (await store(t).readDocuments("duty", [id]))[0]?.value;
    const place = { field: "driver", only: (one: unknown) => Object(one).open === true };
    const [one, other] = [leaseOf(t, "one", place), leaseOf(t, "other", place)];
    for (const lease of [one, leaseOf(t, "one", { field: "driver" })]) expect(await lease.hold(t.at(0))).toBe(false);
    expect(await value()).toBeUndefined();
    const [written] = await store(t).writeDocuments("duty", [{ id, value: { open: true }, ifVersion: 0 }], t.at(0));

    expect((await one.look(t.at(0))).isOurs).toBe(true);
    expect(await other.look(t.at(1))).toMatchObject({ isOurs: false, found: { value: { open: true } } });
    expect(await value()).toEqual({ open: true, driver: { holder: "one", untilMs: t.at(10_000) } });
    await one.release(t.at(1));
    expect(await value()).toEqual({ open: true });
    expect(written?.status).toBe("written");
  });
});
