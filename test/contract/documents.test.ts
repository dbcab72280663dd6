import { expect } from "vitest";
import { describeBroker, type Trial } from "./describe-broker.js";

const store = (t: Trial) => t.broker.deadLetters!;
/** A document of this test alone: documents are for all queues. */
const named = (t: Trial, name: string) => t.queueNamed(name);
const write = async (t: Trial, name: string, value: unknown, ifVersion: number, ms = 0) => {
  const [receipt] = await store(t).writeDocuments("rule", [{ id: named(t, name), value, ifVersion }], t.at(ms));
  return receipt!;
};
const read = (t: Trial, ...names: string[]) =>
  store(t).readDocuments(
    "rule",
    names.map((name) => named(t, name)),
  );

describeBroker("documents beside dead letters", ({ it }) => {
  it("are read as they were written, with a version that grows", async (t) => {
    const value = { query: "type:mail", note: "ü\n", list: [1, null] };
    const first = await write(t, "a", value, 0);
    expect(first).toEqual({ status: "written", version: t.at(0) });

    expect(await read(t, "a", "b")).toEqual([{ id: named(t, "a"), version: t.at(0), value }]);
    expect(await write(t, "a", 2, t.at(0))).toEqual({ status: "written", version: t.at(0) + 1 });
    expect(await write(t, "a", 3, t.at(0) + 1, 5_000)).toEqual({ status: "written", version: t.at(5_000) });
    expect(await read(t, "a")).toEqual([{ id: named(t, "a"), version: t.at(5_000), value: 3 }]);
  });

  it("are left alone where they have changed since", async (t) => {
    await write(t, "a", 1, 0);

    expect(await write(t, "a", 2, 0)).toEqual({ status: "conflict" });
    expect(await write(t, "a", 2, t.at(0) - 1)).toEqual({ status: "conflict" });
    expect(await write(t, "none", 2, t.at(0))).toEqual({ status: "conflict" });
    expect(await read(t, "a", "none")).toMatchObject([{ value: 1 }]);
  });

  it("are deleted, and written anew", async (t) => {
    await write(t, "a", 1, 0);
    expect(await write(t, "a", undefined, t.at(0))).toMatchObject({ status: "written" });
    expect(await read(t, "a")).toEqual([]);
    expect(await write(t, "a", 2, 0, 9_000)).toEqual({ status: "written", version: t.at(9_000) });
  });

  it("are written each by itself: one that has changed spoils no other", async (t) => {
    await write(t, "b", 1, 0);
    const receipts = await store(t).writeDocuments(
      "rule",
      ["a", "b", "c"].map((name) => ({ id: named(t, name), value: name, ifVersion: 0 })),
      t.at(0),
    );
    expect(receipts.map(({ status }) => status)).toEqual(["written", "conflict", "written"]);
    expect((await read(t, "a", "b", "c")).map(({ value }) => value)).toEqual(["a", 1, "c"]);
  });

  it("of one kind are not those of another, and all of a kind are told by id", async (t) => {
    await write(t, "b", 1, 0);
    await write(t, "a", 2, 0);
    const own = (await store(t).readDocuments("rule")).filter(({ id }) => id.startsWith(named(t, "")));
    expect(own.map(({ value }) => value)).toEqual([2, 1]);
    expect(await store(t).readDocuments("group", [named(t, "a")])).toEqual([]);
  });

  it("of more than 64 KiB are refused, and none is written with them", async (t) => {
    const writes = [
      { id: named(t, "small"), value: 1, ifVersion: 0 },
      { id: named(t, "large"), value: "x".repeat(65_536), ifVersion: 0 },
    ];
    await expect(store(t).writeDocuments("rule", writes, t.at(0))).rejects.toMatchObject({ code: "OPTION_INVALID" });
    expect(await read(t, "small", "large")).toEqual([]);
  });
});
