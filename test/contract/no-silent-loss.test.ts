import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect } from "vitest";
import type { DeadLettersBroker } from "../../src/deadletter/dead-letters.js";
import { DeadLetters } from "../../src/deadletter/index.js";
import { parseRecord } from "../../src/deadletter/record.js";
import { linesOf } from "../../src/deadletter/spill-reader.js";
import { settled } from "../support/builders.js";
import { seed } from "../support/seed.js";
import { by, describeBroker, type Trial } from "./describe-broker.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-loss-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const letter = fc.nat({ max: 7 }).map((n) => `t${n}`);
const command = fc.oneof(
  { weight: 14, arbitrary: fc.record({ act: fc.constant("die" as const), id: letter }) },
  {
    weight: 3,
    arbitrary: fc.record({ act: fc.constantFrom("run", "fail again", "discard", "restore", "delete"), id: letter }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constantFrom("drop", "spill"),
      keepMost: fc.nat({ max: 2 }),
      crash: fc.constantFrom(undefined, "before", "after"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom("spill by hand"), id: letter }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom("import" as const) }) },
);
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;

/** What a plain person would expect of each task that ever died. */
class Model {
  /** In the order in which they died. */
  archived: string[] = [];
  readonly trash = new Set<string>();
  readonly files = new Set<string>();
  readonly dropped = new Map<string, number>();
  readonly finished = new Set<string>();

  die(id: string) {
    this.archived = [...this.archived.filter((one) => one !== id), id];
  }
  leave(id: string) {
    this.archived = this.archived.filter((one) => one !== id);
  }
}

/** Spills that were, of all runs. */
let interrupted = 0;

class Run {
  readonly t: Trial;
  readonly directory = mkdtempSync(join(folder, "run-"));
  readonly model = new Model();
  #s = -20_000;

  constructor(t: Trial) {
    this.t = t;
  }

  get #letters() {
    return new DeadLetters(this.t.broker, { actor: "test" });
  }

  /** Time goes on with each command: who died first is the oldest. */
  async carryOut(next: Command): Promise<void> {
    const { t, model } = this;
    const ms = (this.#s += 10) * 1_000;
    const isDead = "id" in next && model.archived.includes(next.id);
    switch (next.act) {
      case "die": {
        if ((await t.stateOf(next.id)) !== "gone" || model.trash.has(next.id)) return;
        await t.enqueue([t.task(next.id)], ms);
        await t.settle([settled.archived(await t.leaseOne({}, ms))], ms);
        return model.die(next.id);
      }
      case "run":
      case "fail again": {
        await t.move([next.id], "pending", { ms });
        if (!isDead) return;
        const task = await t.leaseOne({}, ms);
        await t.settle([next.act === "run" ? settled.completed(task) : settled.archived(task)], ms);
        if (next.act === "fail again") return model.die(next.id);
        model.finished.add(next.id);
        return model.leave(next.id);
      }
      case "discard":
        await t.broker.deadLetters!.discard(t.queue, [next.id], t.at(3_600_000), by, t.at(ms));
        if (isDead) model.trash.add(next.id);
        return model.leave(next.id);
      case "restore":
        await t.broker.deadLetters!.restore(t.queue, [next.id], by, t.at(ms));
        // As old as it was, which this model does not remember: it dies anew, so that both agree.
        if (!model.trash.delete(next.id)) return;
        await t.move([next.id], "pending", { ms });
        await t.settle([settled.archived(await t.leaseOne({}, ms))], ms);
        return model.die(next.id);
      case "delete":
        await t.move([next.id], "deleted", { ms });
        if (isDead) model.finished.add(next.id);
        return model.leave(next.id);
      case "spill by hand":
        await this.#letters.spill({ queue: t.queue, ids: [next.id] }, { directory: this.directory });
        if (isDead) model.files.add(next.id);
        return model.leave(next.id);
      case "import": {
        for (const name of readdirSync(this.directory)) await this.#letters.import(linesOf(join(this.directory, name)));
        // An import puts back what is nowhere, as old as it was: it dies anew for the model, as above.
        for (const [n, id] of (await t.ids("archived")).entries()) {
          if (model.archived.includes(id)) continue;
          await t.move([id], "pending", { ms: ms + n * 1_000 });
          await t.settle([settled.archived(await t.leaseOne({}, ms + n * 1_000))], ms + n * 1_000);
          model.die(id);
        }
        return;
      }
      case "drop":
      case "spill":
        return this.#trim(next as Extract<Command, { keepMost: number }>);
    }
  }

  /** A crash: what was to be done next is never done; `before` it is asked of storage, or `after` storage has done it. */
  async #trim({ act, keepMost, crash }: Extract<Command, { keepMost: number }>): Promise<void> {
    const { t, model } = this;
    const store = t.broker.deadLetters!;
    await this.#letters.setPolicy({ queue: t.queue, keepMost, overflow: act as "drop" | "spill" });
    const evict = async (...args: Parameters<typeof store.evict>) => {
      if (crash === "after") await store.evict(...args);
      throw new Error("crash");
    };
    const crashing: DeadLettersBroker = like(t.broker, { deadLetters: like(store, { evict }) });
    const keeper = new DeadLetters(crash === undefined ? t.broker : crashing).growthKeeper({
      directory: this.directory,
    });
    try {
      for (let more = true; more;) ({ more } = await keeper.step());
    } catch (error) {
      if (!(error instanceof Error && error.message === "crash")) throw error;
    }
    await keeper.close();
    await this.#letters.removePolicy({ queue: t.queue });
    const past = model.archived.slice(0, Math.max(0, model.archived.length - keepMost));
    if (act === "spill" && crash !== undefined && past.length > 0) interrupted += 1;
    if (act === "spill") for (const id of past) model.files.add(id);
    if (crash === "before") return;
    for (const id of past) {
      model.leave(id);
      if (act === "drop") model.dropped.set(id, (model.dropped.get(id) ?? 0) + 1);
    }
  }

  async agrees(): Promise<void> {
    const { t, model } = this;
    expect(await t.ids("archived")).toEqual(model.archived);
    const { items } = await t.broker.deadLetters!.listTrash(t.queue, { limit: 100 });
    expect(items.map(({ task }) => task.id).toSorted()).toEqual([...model.trash].toSorted());
    const spilled = new Set<string>();
    for (const name of readdirSync(this.directory)) {
      for await (const line of linesOf(join(this.directory, name))) {
        const read = parseRecord(line);
        if ("id" in read) spilled.add(read.id);
      }
    }
    expect([...spilled].toSorted()).toEqual([...model.files].toSorted());
    // What was dropped is recorded, id by id, and counted; nothing else is.
    const [acts = []] = await t.broker.audit.read([{ log: t.queue }], 1_000, true);
    const recorded = new Map<string, number>();
    for (const { what } of acts.filter(({ verb }) => verb === "evict"))
      for (const id of JSON.parse(what) as string[]) recorded.set(id, (recorded.get(id) ?? 0) + 1);
    expect(recorded).toEqual(model.dropped);
    const [evicted = {}] = await t.broker.deadLetters!.evicted([t.queue]);
    expect(evicted.size ?? 0).toBe([...model.dropped.values()].reduce((sum, n) => sum + n, 0));
  }
}

/** The same, but for some of what it can do. */
function like<T extends object>(one: T, other: Partial<T>): T {
  return new Proxy(one, {
    get(target, name) {
      const value: unknown = Reflect.get(Object.hasOwn(other, name) ? other : target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

describeBroker("no silent loss", ({ it }) => {
  it(
    "loses no dead letter but by a recorded policy, whatever is done to it, and wherever it is interrupted",
    async (t) => {
      await fc.assert(
        fc.asyncProperty(fc.array(command, { minLength: 25, maxLength: 40 }), async (commands) => {
          const run = new Run(t.elsewhere());
          for (const next of commands) {
            await run.carryOut(next);
            await run.agrees();
          }
        }),
        { seed, numRuns: 3, endOnFailure: true },
      );
      // Many runs that interrupt nothing would prove nothing.
      expect(interrupted).toBeGreaterThan(0);
    },
    { timeoutMs: 60_000 },
  );
});
