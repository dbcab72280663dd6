import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect } from "vitest";
import { DeadLetters, type GrowthKeeper, type PolicyOptions } from "../../src/deadletter/index.js";
import { parseRecord } from "../../src/deadletter/record.js";
import { linesOf } from "../../src/deadletter/spill-reader.js";
import { describeBroker, type Trial } from "./describe-broker.js";

const day = 86_400_000;
const by = { actor: "ann", reason: "a test" };
const folder = mkdtempSync(join(tmpdir(), "holdfast-growth-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let directories = 0;
const newDirectory = () => join(folder, `spill-${(directories += 1)}`);

/** Dead letters, the first the oldest: few are a second apart. */
async function dead(t: Trial, ids: readonly string[], ms = -60_000, type = "email:welcome"): Promise<void> {
  await t.enqueue(
    ids.map((id) => t.task(id, { type })),
    ms,
  );
  if (ids.length > 10) await t.move(ids, "archived", { ms });
  else for (const [n, id] of ids.entries()) await t.move([id], "archived", { ms: ms + n * 1_000 });
}

const names = (from: number, count: number, prefix = "t") =>
  Array.from({ length: count }, (_, n) => `${prefix}${String(from + n).padStart(4, "0")}`);

async function kept(t: Trial): Promise<string[]> {
  const ids = await t.ids("archived");
  return ids;
}

/** Policies are for all tests of a storage together: each sets those of its own queue, and takes them away. */
async function under(
  t: Trial,
  policies: readonly Omit<PolicyOptions, "queue">[],
  work: (letters: DeadLetters) => Promise<void>,
) {
  const letters = new DeadLetters(t.broker, { actor: "ops" });
  for (const policy of policies) await letters.setPolicy({ queue: t.queue, ...policy }, by);
  try {
    await work(letters);
  } finally {
    for (const { type } of policies)
      await letters.removePolicy(type === undefined ? { queue: t.queue } : { queue: t.queue, type });
  }
}

async function carriedOut(keeper: GrowthKeeper) {
  const done = { dropped: 0, spilled: 0, steps: 0 };
  try {
    for (let more = true; more; done.steps += 1) {
      const step = await keeper.step();
      done.dropped += step.dropped;
      done.spilled += step.spilled;
      expect(step.dropped + step.spilled).toBeLessThanOrEqual(500);
      more = step.more;
    }
  } finally {
    await keeper.close();
  }
  return done;
}

async function spilledIds(directory: string, keys: readonly Uint8Array[] = []): Promise<string[]> {
  const ids: string[] = [];
  for (const name of readdirSync(directory)) {
    for await (const line of linesOf(join(directory, name), { keys })) {
      const letter = parseRecord(line);
      ids.push("id" in letter ? letter.id : letter.problem);
    }
  }
  return ids;
}

describeBroker("growth of dead letters", ({ it }) => {
  it("is not trimmed without a policy, nor by one that refuses", async (t) => {
    await dead(t, names(0, 5), -40 * day);
    const letters = new DeadLetters(t.broker);
    expect(await carriedOut(letters.growthKeeper())).toMatchObject({ dropped: 0, spilled: 0 });

    await under(t, [{ keepFor: "30d", keepMost: 2 }], async () => {
      expect(await carriedOut(letters.growthKeeper())).toMatchObject({ dropped: 0, spilled: 0 });
      expect(await kept(t)).toEqual(names(0, 5));
      expect(await letters.growth([t.queue])).toMatchObject([
        { letters: 5, headroom: 0, fullInMs: 0, overdue: true, evicted: {}, policy: { overflow: "refuse" } },
      ]);
    });
  });

  it(
    "drops the oldest beyond the bound, in bounded steps, counted and recorded",
    async (t) => {
      await dead(t, names(0, 520), -600_000);

      await under(t, [{ keepMost: 10, overflow: "drop" }], async (letters) => {
        expect(await carriedOut(letters.growthKeeper())).toMatchObject({ dropped: 510, spilled: 0 });

        expect(await kept(t)).toEqual(names(510, 10));
        expect(await letters.growth([t.queue])).toMatchObject([{ letters: 10, headroom: 0, evicted: { size: 510 } }]);
        const [acts = []] = await t.broker.audit.read([{ log: t.queue }], 100, true);
        const drops = acts.filter(({ verb }) => verb === "evict").toReversed();
        expect(drops.reduce((sum, { count }) => sum + count, 0)).toBe(510);
        expect(drops.flatMap(({ what }) => JSON.parse(what) as string[])).toEqual(names(0, 510));
        expect(drops[0]).toMatchObject({ actor: "policy", reason: "more than 10: policy of ann" });
      });
    },
    { timeoutMs: 30_000 },
  );

  it("drops no more where another takes the oldest meanwhile", async (t) => {
    await dead(t, names(0, 20));

    await under(t, [{ keepMost: 12, overflow: "drop" }], async (letters) => {
      let others = 0;
      const racing = new Proxy(t.broker, {
        get(broker, name) {
          if (name === "list")
            return async (...request: Parameters<typeof broker.list>) => {
              if (others === 0) others = (await carriedOut(letters.growthKeeper())).dropped;
              return broker.list(...request);
            };
          const value: unknown = Reflect.get(broker, name);
          return typeof value === "function" ? value.bind(broker) : value;
        },
      });
      await carriedOut(new DeadLetters(racing).growthKeeper());
      expect(others).toBe(8);
      expect(await kept(t)).toEqual(names(8, 12));
    });
  });

  it("drops what is older than the bound, and nothing younger", async (t) => {
    await dead(t, names(0, 3), -40 * day);
    await dead(t, names(3, 3), -20 * day);

    await under(t, [{ keepFor: "30d", overflow: "drop" }], async (letters) => {
      expect(await carriedOut(letters.growthKeeper())).toMatchObject({ dropped: 3 });
      expect(await kept(t)).toEqual(names(3, 3));
      expect(await letters.growth([t.queue])).toMatchObject([
        { evicted: { age: 3 }, overdue: false, headroom: undefined },
      ]);
    });
  });

  it("spills into a file what is past the bound: in it is all that was stored", async (t) => {
    await dead(t, names(0, 4), -40 * day);
    await dead(t, names(4, 4), -20 * day);
    const before = await t.broker.deadLetters!.readLetters(names(0, 8).map((id) => ({ queue: t.queue, id })));
    const directory = newDirectory();

    await under(t, [{ keepFor: "30d", keepMost: 3, overflow: "spill" }], async (letters) => {
      expect(await carriedOut(letters.growthKeeper({ directory }))).toMatchObject({ spilled: 5, dropped: 0 });
      expect(await kept(t)).toEqual(names(5, 3));
      expect(await letters.growth([t.queue])).toMatchObject([{ evicted: { spilled_age: 4, spilled_size: 1 } }]);
    });

    const read: unknown[] = [];
    const [file] = readdirSync(directory);
    for await (const line of linesOf(join(directory, file!))) read.push(parseRecord(line));
    expect(read).toEqual(
      before.slice(0, 5).map((letter) => ({
        ...letter,
        message: Buffer.from(letter!.message),
        fields: new Map([...letter!.fields].map(([name, bytes]) => [name, Buffer.from(bytes)])),
      })),
    );
  });

  it("keeps what is spilled from all who have not the key", async (t) => {
    await dead(t, names(0, 3));
    const directory = newDirectory();
    const key = Buffer.alloc(32, 5);

    await under(t, [{ keepMost: 0, overflow: "spill" }], async (letters) => {
      await carriedOut(letters.growthKeeper({ directory, key }));
    });

    await expect(spilledIds(directory)).rejects.toMatchObject({ code: "OPTION_INVALID" });
    expect(await spilledIds(directory, [key])).toEqual(names(0, 3));
  });

  it("deletes nothing where there is nowhere to spill to, says so, and goes on with the next queue", async (t) => {
    await dead(t, names(0, 3));
    const other = t.elsewhere();
    await dead(other, names(0, 3));
    const open = newDirectory();

    await under(t, [{ keepMost: 1, overflow: "spill" }], async (letters) =>
      under(other, [{ keepMost: 1, overflow: "drop" }], async () => {
        await expect(carriedOut(letters.growthKeeper())).rejects.toMatchObject({
          code: "OPTION_INVALID",
          message: expect.stringContaining("spill.directory"),
        });
        expect([(await kept(t)).length, (await kept(other)).length]).toEqual([3, 1]);
        await expect(carriedOut(letters.growthKeeper({ directory: open }))).resolves.toMatchObject({ spilled: 2 });
        chmodSync(open, 0o777);
        await dead(t, names(3, 1));
        await expect(carriedOut(letters.growthKeeper({ directory: open }))).rejects.toMatchObject({
          code: "OPTION_INVALID",
        });
        expect(await kept(t)).toHaveLength(2);
      }),
    );
  });

  it("of a type with a policy of its own is counted apart", async (t) => {
    await dead(t, names(0, 6), -300_000);
    await dead(t, names(0, 6, "noise"), -200_000, "noise:ping");
    await dead(t, names(0, 6, "gold"), -40 * day, "gold:order");
    const policies: Omit<PolicyOptions, "queue">[] = [
      { keepMost: 4, overflow: "drop" },
      { type: "noise:ping", keepMost: 1, overflow: "drop" },
      { type: "gold:order", keepMost: 2, overflow: "refuse" },
    ];

    await under(t, policies, async (letters) => {
      expect(await carriedOut(letters.growthKeeper())).toMatchObject({ dropped: 7 });
      expect(await kept(t)).toEqual([...names(0, 6, "gold"), ...names(2, 4), ...names(5, 1, "noise")]);
      expect(await letters.policies()).toEqual(
        expect.arrayContaining(
          policies.map((policy) => expect.objectContaining({ queue: t.queue, ...policy, type: policy.type })),
        ),
      );
    });
  });

  it("is spilled by hand: some by their ids, or all that are old enough", async (t) => {
    await dead(t, names(0, 3), -40 * day);
    await dead(t, names(3, 3));
    const directory = newDirectory();
    const letters = new DeadLetters(t.broker);

    const some = await letters.spill({ queue: t.queue, ids: ["t0003", "none"] }, { directory, ...by });
    expect(some).toMatchObject({ spilled: 1, skipped: 1, files: [expect.stringContaining(directory)] });
    const old = await letters.spill({ queue: t.queue, olderThan: "30d" }, { directory, ...by });
    expect(old).toMatchObject({ spilled: 3, skipped: 0 });
    expect(await letters.spill({ queue: t.queue, type: "another" }, { directory })).toEqual({
      spilled: 0,
      skipped: 0,
      files: [],
    });

    expect(await kept(t)).toEqual(names(4, 2));
    expect((await spilledIds(directory)).toSorted()).toEqual(names(0, 4));
    expect(await letters.growth([t.queue])).toMatchObject([{ evicted: { spilled_by_hand: 4 } }]);
    await expect(letters.spill({ queue: t.queue }, {} as never)).rejects.toMatchObject({ code: "OPTION_INVALID" });
  });

  it("is foretold from what came lately", async (t) => {
    await dead(t, names(0, 6), -25 * 60_000);
    await dead(t, names(6, 4), -5 * 3_600_000);

    await under(t, [{ keepMost: 16 }], async (letters) => {
      const [growth] = await letters.growth([t.queue]);
      expect(growth).toMatchObject({ letters: 10, headroom: 6, inflow: { halfHour: 6, day: 10 }, fullInMs: 1_800_000 });
      expect(growth!.go.headroom).toBe(9_999 - growth!.go.inReach);
    });
  });

  it("keeps dead letters from a Go program's bounds where no worker does", async (t) => {
    const store = t.broker.deadLetters!;
    await dead(t, names(0, 4), -81 * day);
    const young = names(4, 2);
    await dead(t, young);
    const [before = 0] = await store.inReachOfGo([t.queue]);

    await carriedOut(new DeadLetters(t.broker).growthKeeper());

    expect(await store.inReachOfGo([t.queue])).toEqual([Math.min(before, young.length)]);
    expect(await kept(t)).toEqual(names(0, 6));
  });
});
