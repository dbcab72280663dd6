import { expect } from "vitest";
import type { TaskRef } from "../../src/broker/broker.js";
import { DeadLetters } from "../../src/deadletter/index.js";
import { Inspector } from "../../src/index.js";
import { fingerprintOf } from "../../src/core/fingerprint.js";
import type { Failure } from "../../src/core/outcome.js";
import { failure, settled } from "../support/builders.js";
import { describeBroker, type Trial } from "./describe-broker.js";

/** Dead letters with these ids, in this order of death, a second apart. */
async function die(t: Trial, ids: readonly string[], queue = t.queue, why: Partial<Failure> = {}): Promise<void> {
  await t.enqueue(ids.map((id) => t.task(id, { queue, payload: Buffer.from(JSON.stringify({ id })) })));
  const tasks = await t.leaseAll({ queues: [queue] });
  for (const [n, task] of tasks.entries())
    await t.settle([settled.archived(task, why)], Math.floor(n / 100) * 1_000 - 600_000);
}
const numbered = (count: number) => Array.from({ length: count }, (_, n) => `id-${String(n).padStart(4, "0")}`);
const idsOf = (items: readonly { readonly id: string }[]) => items.map(({ id }) => id);

const bound = (of: object, name: string | symbol): unknown => {
  const value: unknown = Reflect.get(of, name);
  return typeof value === "function" ? value.bind(of) : value;
};

describeBroker("searching dead letters", ({ it }) => {
  it("finds across queues what is asked for, and says what it looked at", async (t) => {
    const letters = new DeadLetters(t.broker);
    const other = t.queueNamed("other");
    await die(t, ["a", "b"], t.queue, { message: "smtp: timeout" });
    await die(t, ["c"], other, { message: "smtp: Timeout" });
    await die(t, ["d"], t.queueNamed("third"), { message: "smtp: timeout" });
    await t.enqueue(["pending"]);
    const queues = `queue:"${t.queue}","${other}"`;

    const found = await letters.search(`${queues} err~timeout`);
    expect(found).toMatchObject({ scanned: 3, total: 3, hits: 3, cursor: undefined });
    expect(new Set(idsOf(found.items))).toEqual(new Set(["a", "b", "c"]));
    expect(idsOf((await letters.search(`${queues} payload.id:b`)).items)).toEqual(["b"]);
    expect(await letters.search(`${queues} id:c,d,none`)).toMatchObject({ items: [{ id: "c" }], scanned: 1, hits: 1 });
    expect(await letters.search(`${queues} id:pending`)).toMatchObject({ items: [] });
    expect(idsOf((await letters.search(`${queues} state:pending,active`)).items)).toEqual(["pending"]);
    expect((await letters.search(`${queues} -state:retry`)).hits).toBe(4);
    expect(await letters.search("queue:none")).toMatchObject({ items: [], scanned: 0, total: 0, cursor: undefined });
  });

  it("shows no secret of an error that another program stored, and counts it by what is stored", async (t) => {
    const letters = new DeadLetters(t.broker);
    const inspector = new Inspector(t.broker);
    await die(t, ["a"], t.queue, {
      message: "connect to postgres://u:hunter2@db failed",
      stack: "Error: postgres://u:hunter2@db",
    });
    const query = `queue:"${t.queue}"`;
    const { groups } = await letters.groups();
    const cause = groups.find(({ queues }) => queues.some(({ name }) => name === t.queue));
    const texts = async (items: AsyncIterable<unknown>) => {
      let all = "";
      for await (const one of items)
        all += JSON.stringify(one, (key, value: unknown) => (key === "bytes" ? "" : value));
      return all;
    };

    const seen = [
      JSON.stringify((await letters.search(`${query} err~hunter2 fp:${cause!.fingerprint}`)).items[0]!.failure),
      await texts(letters.searchAll(query)),
      await texts(inspector.tasks({ queue: t.queue, state: "archived" })),
      JSON.stringify((await inspector.require(t.queue, "a")).message!.lastError),
      JSON.stringify((await inspector.find(t.queue, "a"))!.failure),
      JSON.stringify((await inspector.list({ queue: t.queue, state: "archived" })).items[0]!.failure),
      JSON.stringify((await letters.groupTasks(cause!.fingerprint)).items[0]!.failure),
      await letters.incident(query),
    ];

    for (const text of seen) {
      expect(text).toContain("[secret]@db");
      expect(text).not.toContain("hunter2");
    }
    expect(seen.at(-1)).toContain(cause!.fingerprint);
    await letters.discard({ queue: t.queue, ids: ["a"] }, { reason: "a test" });
    expect((await letters.trash(t.queue)).items[0]!.task.failure!.message).toBe(
      "connect to postgres://[secret]@db failed",
    );
  });

  it("goes on where a page ended, in either order, each task once", async (t) => {
    const letters = new DeadLetters(t.broker);
    const other = t.queueNamed("other");
    const ids = numbered(430);
    await die(t, ids);
    await die(t, ["x", "y"], other);
    const query = `queue:"${t.queue}","${other}" -id:*0`;
    const wanted = ids.filter((id) => !id.endsWith("0"));

    for (const newestFirst of [false, true]) {
      const pages: string[][] = [];
      let cursor: string | undefined;
      let last;
      do {
        last = await letters.search(query, { limit: 37, newestFirst, cursor });
        pages.push(idsOf(last.items));
        cursor = last.cursor;
      } while (cursor !== undefined);
      const all = pages.flat();
      expect(all.filter((id) => id.startsWith("id-"))).toEqual(newestFirst ? wanted.toReversed() : wanted);
      expect(all).toHaveLength(389);
      expect(Math.max(...pages.map(({ length }) => length))).toBe(37);
      expect(last).toMatchObject({ scanned: 432, total: 432, hits: 389 });
    }
  });

  it("ends a page at its bound of looks, and when it is called off", async (t) => {
    const letters = new DeadLetters(t.broker);
    await die(t, numbered(430));
    const seen: number[] = [];
    const calledOff = new AbortController();

    const bounded = await letters.search(`queue:"${t.queue}" id:*29`, { scan: 300 });
    expect(bounded).toMatchObject({ scanned: 400, total: 430, hits: 4 });
    expect(await letters.search(`queue:"${t.queue}" id:*29`, { cursor: bounded.cursor })).toMatchObject({
      items: [{ id: "id-0429" }],
      scanned: 430,
      hits: 5,
      cursor: undefined,
    });
    const stopped = await letters.search(`queue:"${t.queue}" id:*9`, {
      signal: calledOff.signal,
      onProgress: ({ scanned }) => {
        seen.push(scanned);
        calledOff.abort();
      },
    });
    expect(seen).toEqual([200]);
    expect(idsOf(stopped.items)).toHaveLength(20);
    expect(stopped.cursor).not.toBeUndefined();
    const none = await letters.search(`queue:"${t.queue}" id:*9`, { signal: calledOff.signal });
    expect(none).toMatchObject({ items: [], scanned: 0 });
    expect((await letters.search(`queue:"${t.queue}" id:*9`, { cursor: none.cursor, limit: 500 })).hits).toBe(43);
  });

  it("for causes reads no dead letter that is known to have another, and misses none that is in no group yet", async (t) => {
    let read = 0;
    const letters = new DeadLetters(
      new Proxy(t.broker, {
        get: (broker, name) => {
          const verb = bound(broker, name);
          if (name !== "find") return verb;
          return async (refs: readonly TaskRef[]) => {
            read += refs.length;
            return broker.find(refs);
          };
        },
      }),
    );
    const causes = { common: "boom", rare: "no disk", other: "no row" };
    const causeOf = (n: number) => (n % 10 === 0 ? causes.rare : n % 10 === 5 ? causes.other : causes.common);
    const cause = (message: string) => fingerprintOf("test:plain", failure({ reason: "retries_exhausted", message }));
    const ids = numbered(260);
    const dying = async (some: readonly string[], ms: number) => {
      await t.enqueue(some);
      const tasks = await t.leaseAll();
      await t.settle(
        tasks.map((task) => settled.archived(task, { message: causeOf(ids.indexOf(task.message.id)) })),
        ms - 600_000,
      );
    };
    await dying(ids.slice(0, 130), 0);
    await dying(ids.slice(130, 250), 5_000);
    const wanted = (until: number, ...of: string[]) => ids.slice(0, until).filter((_, n) => of.includes(causeOf(n)));
    const rare = `queue:"${t.queue}" fp:${cause(causes.rare)}`;

    await letters.groups();
    const all = await letters.search(rare, { limit: 100 });
    expect(all).toMatchObject({ scanned: 250, total: 250, hits: 25, cursor: undefined });
    expect(read).toBe(25);
    expect(idsOf(all.items)).toEqual(wanted(250, causes.rare));
    expect((await letters.redrives.plan(`${rare} -id:*50`)).tasks).toBe(23);
    expect(await letters.search(`${rare} fp:${cause("never")}`)).toMatchObject({ items: [], scanned: 250 });
    expect(read).toBe(50);
    expect((await letters.search(`queue:"${t.queue}" -fp:${cause(causes.rare)}`, { limit: 500 })).hits).toBe(225);
    const two = `queue:"${t.queue}" fp:${cause(causes.rare)},${cause(causes.other).slice(0, 12)}`;
    for (const newestFirst of [false, true]) {
      const found: string[] = [];
      let last;
      do {
        last = await letters.search(two, { limit: 7, newestFirst, cursor: last?.cursor });
        found.push(...idsOf(last.items));
      } while (last.cursor !== undefined);
      const expected = wanted(250, causes.rare, causes.other);
      expect(found).toEqual(newestFirst ? expected.toReversed() : expected);
      expect(last).toMatchObject({ scanned: 250, total: 250, hits: 50 });
    }

    const page = await letters.search(rare, { limit: 24 });
    await dying(ids.slice(250), 9_000);
    const rest = await letters.search(rare, { cursor: page.cursor });
    expect(rest).toMatchObject({ scanned: 260, hits: 26 });
    expect(idsOf(rest.items)).toEqual(wanted(260, causes.rare).slice(24));
    expect(await letters.search(rare, { cursor: page.cursor })).toMatchObject({ items: rest.items, hits: 26 });
  });

  it("keeps its place while tasks leave and queues come and go", async (t) => {
    const letters = new DeadLetters(t.broker);
    const [first, second] = [t.queueNamed("m"), t.queueNamed("n")];
    await die(t, numbered(250), first);
    await die(t, ["last"], second);
    const query = `queue:"${first}","${second}"`;
    const page = await letters.search(query, { limit: 200 });
    await t.broker.move(
      { queue: first, ids: numbered(220) },
      "deleted",
      { actor: "a", reason: "r", requestId: "q" },
      { limit: 500 },
      t.at(0),
    );

    const rest = await letters.search(query, { limit: 200, cursor: page.cursor });
    expect(idsOf(rest.items)).toEqual([...numbered(250).slice(220), "last"]);
    await t.broker.move(
      { queue: first, ids: numbered(250) },
      "deleted",
      { actor: "a", reason: "r", requestId: "q" },
      { limit: 500 },
      t.at(0),
    );
    expect(idsOf((await letters.search(query, { cursor: page.cursor })).items)).toEqual(["last"]);
  });

  it("streams all of a search, and leaves out what died after it began", async (t) => {
    const letters = new DeadLetters(t.broker);
    await die(t, numbered(230));
    const found: string[] = [];
    let scanned = 0;

    for await (const page of letters.searchAll(`queue:"${t.queue}"`)) {
      if (scanned === 0) {
        await t.enqueue(["late"]);
        await t.settle([settled.archived(await t.leaseOne())], 3_600_000);
      }
      found.push(...idsOf(page.items));
      ({ scanned } = page);
    }
    expect(found).toEqual(numbered(230));
    expect(scanned).toBe(231);
  });

  it("refuses a search, an option or a cursor that cannot be", async (t) => {
    const letters = new DeadLetters(t.broker);
    await die(t, numbered(3));
    const { cursor } = await letters.search(`queue:"${t.queue}"`, { limit: 1 });

    await expect(letters.search("typ:x")).rejects.toMatchObject({ code: "SEARCH_INVALID", data: { column: 1 } });
    await expect(letters.search("queue:other", { cursor })).rejects.toMatchObject({
      data: { problem: "belongs to another search" },
    });
    for (const made of [
      "x",
      Buffer.from("[]").toString("base64url"),
      Buffer.from('["a",1,2,"q","dead","",1,-1]').toString("base64url"),
    ])
      await expect(letters.search("queue:a", { cursor: made })).rejects.toMatchObject({ code: "OPTION_INVALID" });
    await expect(letters.search("queue:a", { limit: 0 })).rejects.toMatchObject({ data: { option: "search.limit" } });
    expect(() => letters.searchAll("-")).toThrow("column 2");
  });
});
