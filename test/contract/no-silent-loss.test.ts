import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect } from "vitest";
import type { DeadLettersBroker } from "../../src/deadletter/dead-letters.js";
import { DeadLetters } from "../../src/deadletter/index.js";
import { parseRecord } from "../../src/deadletter/record.js";
import { linesOf } from "../../src/deadletter/spill-reader.js";
import { pause } from "../../src/core/loop.js";
import { settled } from "../support/builders.js";
import { seed } from "../support/seed.js";
import { by, describeBroker, type Trial } from "./describe-broker.js";
import { goActs } from "./go-acts.js";
import { beginning, type Command, dead, type Death, Model, sequence, type Trimming } from "./loss-commands.js";
import { changesNothing, death, dying, letGo } from "./redrive-tools.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-loss-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Sequences that are tried; HOLDFAST_LOSS_RUNS for more, SEED for others. */
const numRuns = Number(process.env["HOLDFAST_LOSS_RUNS"] ?? 3);
let sequences = 0;

/** Of all runs: what was, of spills and edits, and of redrives and rules within the queue and into another one. */
const interrupted = { spill: 0, redrive: 0, rule: 0, edit: 0, "redrive away": 0, "rule route": 0 };

/** Later than any trash of these tests is kept, and what has completed. */
const trashEndsMs = 30 * 86_400_000;
let edits = 0;

class Run {
  readonly t: Trial;
  readonly directory = mkdtempSync(join(folder, "run-"));
  readonly model = new Model();
  #s = -20_000;
  #late: (() => Promise<unknown>) | undefined;

  constructor(t: Trial) {
    this.t = t;
  }

  #nextMs(): number {
    return (this.#s += 1) * 1_000;
  }

  /** Where redrives and rules bring dead letters that are not to run in their own queue. */
  get #there() {
    return this.t.queueNamed("fixup");
  }

  get #letters() {
    return new DeadLetters(this.t.broker, { actor: "test" });
  }

  /** Time goes on with each command, and each death: who died first is the oldest. */
  async carryOut(next: Command): Promise<void> {
    const { t, model } = this;
    const ms = this.#nextMs();
    this.#s += 8;
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
      case "purge":
        await this.#letters.purge({ queue: t.queue, ids: [next.id] });
        if (model.trash.delete(next.id)) model.finished.add(next.id);
        return;
      case "trash ends":
        while ((await t.prune(trashEndsMs)) > 0);
        for (const id of model.trash) model.finished.add(id);
        return model.trash.clear();
      case "the other queue is emptied":
        await t.broker.move({ queue: this.#there, state: "archived" }, "deleted", by, { limit: 100 }, t.at(ms));
        return model.there.clear();
      case "edit":
        return this.#edit(next);
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
      case "redrive":
        return this.#redrive(next);
      case "rule":
        return this.#rule(next);
      case "go deletes":
        return this.#meddle("delete", next.id);
      case "go runs":
        await this.#meddle("run", next.id);
        await this.#work(next.failing);
        return;
      case "go archives": {
        const go = this.#go;
        if (go === undefined || (await t.stateOf(next.id)) !== "gone" || model.trash.has(next.id)) return;
        await t.enqueue([next.id], ms);
        await go.archivePending(next.id, t.at(ms) / 1_000, next.keepMost);
        model.die(next.id);
        model.archived = model.archived.slice(-next.keepMost);
        return;
      }
      case "drop":
      case "spill":
        return this.#trim(next as Trimming);
    }
  }

  /** asynq's, on the server itself; undefined in storage to which it has no way. */
  get #go() {
    const server = this.t.storage.server?.(this.t.queue);
    return server === undefined ? undefined : goActs(server, this.t.queue);
  }

  /** What a Go program or an operator does to a dead letter, whoever has it at the moment. */
  async #meddle(how: "delete" | "run" | "discard", id: string): Promise<void> {
    const { t, model } = this;
    if (!model.archived.includes(id)) return;
    if (how === "discard") {
      await t.broker.deadLetters!.discard(t.queue, [id], t.at(3_600_000), by, t.at(0));
      model.trash.add(id);
    } else if (how === "delete") await (this.#go?.deleteArchived(id) ?? t.move([id], "deleted"));
    else await (this.#go?.runArchived(id) ?? t.move([id], "pending"));
    model.leave(id);
  }

  /** All that is to run runs, whoever has sent it, and completes or dies anew, where it is. */
  async #work(failing: readonly string[], away = false): Promise<string[]> {
    const { t, model } = this;
    const ran: string[] = [];
    for (const queue of away ? [t.queue, this.#there] : [t.queue])
      for (const task of await t.leaseAll({ queues: [queue] }, this.#nextMs())) {
        const { id } = task.message;
        const ms = this.#nextMs();
        await t.settle([failing.includes(id) ? settled.archived(task) : settled.completed(task)], ms);
        model.leave(id);
        if (failing.includes(id))
          if (queue === t.queue) model.die(id);
          else model.there.add(id);
        ran.push(id);
      }
    return ran;
  }

  /** Killed before or after any of its writes, and asked for again: the original is where it was, and one copy of it ran. */
  async #edit({ id, fails, death: at }: Extract<Command, { act: "edit" }>): Promise<void> {
    const { t, model } = this;
    const options = { payload: "{}", anyBytes: true, requestId: `edit-${(edits += 1)}` };
    const isDead = model.archived.includes(id);
    const result = await this.#mortal(at)
      .copy(t.queue, id, options)
      .catch((error: unknown) => {
        this.#survived(error, "edit");
        return this.#letters.copy(t.queue, id, options);
      });
    expect(result.status === "copied").toBe(isDead);
    if (result.status !== "copied") return;
    expect(await this.#work(fails ? [result.id] : [])).toEqual([result.id]);
    if (!fails) model.finished.add(result.id);
  }

  /** What a process sent before it was taken for dead. */
  async #arrives(): Promise<void> {
    await this.#late?.();
    this.#late = undefined;
  }

  /**
   * Killed before or after any of its writes, or taken for dead while one is on its way, cancelled, meddled with: each of
   * its tasks ran once, or is where it was.
   */
  async #redrive(how: Extract<Command, { act: "redrive" }>): Promise<void> {
    const { failing, death: at, cancelAt, meddling, quarantined, away } = how;
    const { t } = this;
    const apart = { queue: t.queue, ids: quarantined === null ? [] : [quarantined] };
    await this.#letters.quarantine(apart, { reason: "one by one" });
    const { redrives } = this.#letters;
    const quick = { rate: 5_000, ramp: "0s", canary: 0, brake: 100, maxRedrives: 1_000 } as const;
    const { id } = await redrives.start(`queue:"${t.queue}"`, { ...quick, ...(away ? { queue: this.#there } : {}) });
    let driver = this.#mortal(at).redrives;
    const ran: string[] = [];
    let diedAt = Number.POSITIVE_INFINITY;
    for (let n = 0; (await redrives.get(id)).phase !== "ended"; n += 1) {
      expect(n).toBeLessThan(50);
      // One that was run by somebody else before its end was seen is looked at again a little later.
      if (n > 10) await pause(50);
      if (meddling?.at === n) await this.#meddle(meddling.how, meddling.id);
      if (cancelAt === n) await redrives.cancel(id);
      try {
        await driver.step((error) => {
          throw error;
        });
      } catch (error) {
        this.#survived(error, away ? "redrive away" : "redrive");
        await letGo(t, id);
        driver = redrives;
        diedAt = n;
      }
      ran.push(...(await this.#work(failing, away)));
      if (n > diedAt) await this.#arrives();
    }
    await this.#arrives();
    ran.push(...(await this.#work(failing, away)));
    const byRedrive = ran.filter((one) => one !== meddling?.id);
    expect(byRedrive.toSorted()).toEqual([...new Set(byRedrive)].toSorted());
    expect(byRedrive).not.toContain(quarantined);
    await this.#letters.unquarantine(apart, { reason: "looked at" });
    // What was kept to be seen goes, for its own retention is none.
    await t.prune(this.#nextMs());
    if (away) await this.#forgetThere();
  }

  /** What has completed there makes room for its namesakes. */
  async #forgetThere(): Promise<void> {
    await this.t.broker.prune([this.#there], 100, this.t.at(trashEndsMs));
  }

  async #rule({ does, failing, death: at }: Extract<Command, { act: "rule" }>): Promise<void> {
    const { t, model } = this;
    const letters = this.#letters;
    const rule = { name: "rule", search: `queue:"${t.queue}"`, action: does, owner: "o", expires: "1d" } as const;
    const away = does === "route";
    await letters.addRule({
      ...rule,
      mode: "live",
      perMinute: 60_000,
      cap: 100,
      ...(away ? { queue: this.#there } : {}),
    });
    const free = model.archived.filter((id) => !away || !model.there.has(id));
    const ran: string[] = [];
    let evaluator = this.#mortal(at).ruleEvaluator();
    for (let more = true; more;) {
      try {
        ({ more } = await evaluator.step());
      } catch (error) {
        this.#survived(error, away ? "rule route" : "rule");
        // What has come there runs, whether it has left its queue or not.
        if (away) ran.push(...(await this.#work(failing, away)));
        await this.#freeRules();
        evaluator = letters.ruleEvaluator();
      }
    }
    await this.#freeRules();
    await letters.removeRule("rule");
    if (does !== "discard") ran.push(...(await this.#work(failing, away)));
    if (away) await this.#forgetThere();
    if (does !== "discard") return expect(ran.toSorted()).toEqual(free.toSorted());
    for (const id of model.archived) model.trash.add(id);
    model.archived = [];
  }

  /** As if the time of whoever carries them out had run out. */
  async #freeRules(): Promise<void> {
    const store = this.t.broker.deadLetters!;
    const found = await store.readDocuments("duty", ["rule-evaluator"]);
    const free = found.map(({ id, version }) => ({ id, value: undefined, ifVersion: version }));
    await store.writeDocuments("duty", free, this.t.at(0));
  }

  /** A process that dies. */
  #mortal(at: Death | null): DeadLetters {
    let writes = 0;
    const broker = dying(this.t, async (verb, carryOut) => {
      const counts = at?.verb === undefined ? !changesNothing(verb) : verb === at.verb;
      const isLast = counts && (writes += 1) === at?.nth;
      // What is enqueued late is not taken: it says until when it is wanted.
      if (isLast && at.when === "late" && verb !== "enqueue") this.#late = carryOut;
      if (isLast && at.when !== "after") throw new Error(death);
      const answer = await carryOut();
      if (isLast) throw new Error(death);
      return answer;
    });
    return new DeadLetters(broker, { actor: "test" });
  }

  #survived(error: unknown, what: keyof typeof interrupted): void {
    if (!(error instanceof Error && error.message === death)) throw error;
    interrupted[what] += 1;
  }

  /** A crash: what was to be done next is never done; `before` it is asked of storage, or `after` storage has done it. */
  async #trim({ act, keepMost, crash }: Trimming): Promise<void> {
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
    if (act === "spill" && crash !== undefined && past.length > 0) interrupted.spill += 1;
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
    expect(await t.counts()).toEqual(model.archived.length > 0 ? { archived: model.archived.length } : {});
    expect(await t.ids("archived", this.#there)).toEqual([...model.there]);
    const { archived = 0, ...others } = (await t.info(0, this.#there))?.counts ?? {};
    expect(Object.values({ ...others, archived: archived - model.there.size }).filter((n) => n !== 0)).toEqual([]);
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
        fc.asyncProperty(beginning, sequence, async (first, commands) => {
          const run = new Run(t.elsewhere());
          const begin = first[(sequences += 1) % first.length]!;
          for (const next of [...dead, ...begin, ...dead, ...commands]) {
            await run.carryOut(next);
            await run.agrees();
          }
        }),
        { seed, numRuns, endOnFailure: true },
      );
      // Many runs that interrupt nothing would prove nothing.
      expect(Object.entries(interrupted).filter(([, times]) => times === 0)).toEqual([]);
    },
    { timeoutMs: 60_000 + numRuns * 5_000 },
  );
});
