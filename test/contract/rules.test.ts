import { expect } from "vitest";
import { DeadLetters, type RuleOptions, type RulesStep } from "../../src/deadletter/index.js";
import type { TaskMessage } from "../../src/core/message.js";
import { settled } from "../support/builders.js";
import { describeBroker, type Trial } from "./describe-broker.js";

const minutes = -600_000;

async function dead(
  t: Trial,
  ids: readonly string[],
  ms = minutes,
  fields: Partial<TaskMessage> = {},
  queue = t.queue,
) {
  await t.enqueue(
    ids.map((id) => t.task(id, { maxRetry: 0, queue, ...fields })),
    ms,
  );
  const tasks = await t.leaseAll({ queues: [queue] }, ms);
  await t.settle(
    tasks.map((task) => settled.archived(task, { message: "timeout" })),
    ms,
  );
}

/** Rules are for all queues: those of a test are gone behind it, and are for its queues alone. */
async function withRules(t: Trial, body: (tools: Tools) => Promise<void>): Promise<void> {
  const letters = new DeadLetters(t.broker, { actor: "ann" });
  const evaluator = letters.ruleEvaluator();
  const add = async (rule: Partial<RuleOptions> = {}) =>
    letters.addRule({
      name: "again",
      search: `queue:"${t.queue}"`,
      action: "run",
      owner: "team-mail",
      expires: "1d",
      mode: "live",
      perMinute: 60_000,
      ...rule,
    });
  /** Until nothing is to be done at once. */
  const carryOut = async () => {
    const sum = { looked: 0, acted: 0, would: 0, left: 0 };
    for (let steps = 0; steps < 50; steps += 1) {
      const step: RulesStep = await evaluator.step();
      for (const name of ["looked", "acted", "would", "left"] as const) sum[name] += step[name];
      if (!step.more) return sum;
    }
    throw new Error("the rules never come to rest");
  };
  try {
    await body({ letters, add, carryOut });
  } finally {
    for (const { name } of await letters.rules()) await letters.removeRule(name);
    await evaluator.close();
  }
}
interface Tools {
  readonly letters: DeadLetters;
  readonly add: (rule?: Partial<RuleOptions>) => ReturnType<DeadLetters["addRule"]>;
  readonly carryOut: () => Promise<Omit<RulesStep, "more" | "elsewhere">>;
}

describeBroker("rules", ({ it }) => {
  it("run again what matches, once it is old enough, and say what they did", async (t) => {
    await withRules(t, async ({ letters, add, carryOut }) => {
      await dead(t, ["a", "b"]);
      await dead(t, ["young"], -60_000);
      await dead(t, ["other"], minutes, { type: "other" });
      await add({ search: `queue:"${t.queue}" -type:other`, after: "5m", perMinute: 1_000 });

      expect(await carryOut()).toMatchObject({ acted: 2, would: 0, left: 0 });
      expect(await t.counts()).toEqual({ pending: 2, archived: 2 });
      expect(await carryOut()).toMatchObject({ looked: 0, acted: 0 });
      expect(await letters.rules()).toMatchObject([{ name: "again", status: "live", acted: 2, left: {} }]);
      const acts = (await t.broker.audit.read([{ log: t.queue }], 10))[0]!;
      expect(acts.at(-1)).toMatchObject({
        verb: "run",
        actor: "rule again of team-mail",
        reason: "rule again",
        count: 2,
      });
    });
  });

  it("only count in shadow, and begin anew when they go live", async (t) => {
    await withRules(t, async ({ letters, add, carryOut }) => {
      await dead(t, ["a", "b"]);
      await add({ mode: "shadow" });

      expect(await carryOut()).toMatchObject({ acted: 0, would: 2 });
      expect(await carryOut()).toMatchObject({ looked: 0, would: 0 });
      expect(await t.counts()).toEqual({ archived: 2 });
      await letters.setRuleMode("again", "live");
      expect(await carryOut()).toMatchObject({ acted: 2 });
      await letters.setRuleMode("again", "off");
      await dead(t, ["c"]);
      expect(await carryOut()).toMatchObject({ looked: 0 });
      expect(await letters.rules()).toMatchObject([{ status: "off", would: 2, acted: 2 }]);
    });
  });

  it("give a dead letter to the first that matches, where that is not in shadow", async (t) => {
    await withRules(t, async ({ letters, add, carryOut }) => {
      await dead(t, ["a", "b"]);
      await add({ name: "shadow", mode: "shadow", action: "discard", order: 1 });
      await add({ name: "second", action: "discard" });
      await add({ name: "first", search: `queue:"${t.queue}" id:a`, order: 2 });
      await add({ name: "late", mode: "shadow" });

      expect(await letters.previewRule("second")).toMatchObject({ matched: 2, would: 1, earlier: { first: 1 } });
      await carryOut();
      expect(await t.stateOf("a")).toBe("pending");
      expect(await t.stateOf("b")).toBe("gone");
      const rules = await letters.rules();
      expect(rules.map(({ name, acted, would }) => [name, acted, would])).toEqual([
        ["shadow", 0, 2],
        ["first", 1, 0],
        ["second", 1, 0],
        ["late", 0, 0],
      ]);
    });
  });

  it("leave what is in quarantine, looked after, to run at most once, or was run too often", async (t) => {
    await withRules(t, async ({ letters, add, carryOut }) => {
      await dead(t, ["q", "ack", "loop"]);
      await t.enqueue([t.task("once", { maxRetry: 0 }, { atMostOnce: true })], minutes);
      await t.settle([settled.archived(await t.leaseOne({}, minutes))], minutes);
      await letters.quarantine({ queue: t.queue, ids: ["q"] });
      await letters.acknowledgeTasks({ queue: t.queue, ids: ["ack"] });
      await add({ cap: 2 });

      let acted = 0;
      for (let round = 0; round < 4; round += 1) {
        ({ acted } = await carryOut());
        const tasks = await t.leaseAll({}, minutes + 1_000 * (round + 1));
        await t.settle(
          tasks.map((task) => settled.archived(task)),
          minutes + 1_000 * (round + 1),
        );
      }
      expect(acted).toBe(0);
      expect(await t.counts()).toEqual({ archived: 4 });
      expect(await letters.rules()).toMatchObject([
        { acted: 2, left: { quarantined: 1, acknowledged: 1, atMostOnce: 1, bound: 1 } },
      ]);
    });
  });

  it("route to another queue, once, with what the task is", async (t) => {
    await withRules(t, async ({ letters, add, carryOut }) => {
      const other = t.queueNamed("other");
      await dead(t, ["a"], minutes, { payload: Buffer.from("{}"), headers: { tenant: "acme" }, retried: 2 });
      await add({ action: "route", queue: other });
      await add({ name: "back", search: `queue:"${other}"`, action: "route", queue: t.queue });

      expect(await carryOut()).toMatchObject({ acted: 1 });
      expect(await t.stateOf("a")).toBe("gone");
      const task = await t.find("a", other);
      expect(task).toMatchObject({
        state: "pending",
        message: { retried: 2, maxRetry: 2, headers: { tenant: "acme" } },
      });
      await t.settle([settled.archived(await t.leaseOne({ queues: [other] }, minutes))], minutes);
      expect(await carryOut()).toMatchObject({ acted: 0, left: 1 });
      expect((await letters.rules())[1]).toMatchObject({ left: { routed: 1 } });
      expect((await t.find("a", other))?.state).toBe("archived");
    });
  });

  it("discard into the trash, from which it comes back, and is left alone", async (t) => {
    await withRules(t, async ({ add, carryOut }) => {
      await dead(t, ["a"]);
      await add({ action: "discard", keep: "1d" });
      await carryOut();
      const [trashed] = (await t.broker.deadLetters!.listTrash(t.queue, { limit: 10 })).items;
      expect(trashed).toMatchObject({ task: { id: "a" }, discarded: { actor: "rule again of team-mail" } });

      await t.broker.deadLetters!.restore(t.queue, ["a"], { actor: "a", reason: "r", requestId: "q" }, t.at(0));
      expect(await carryOut()).toMatchObject({ acted: 0 });
    });
  });

  it("keep their rate, and lose none for it", async (t) => {
    await withRules(t, async ({ add, carryOut }) => {
      await dead(
        t,
        Array.from({ length: 30 }, (_, n) => `id-${n}`),
      );
      await add({ perMinute: 1 });

      expect(await carryOut()).toMatchObject({ acted: 1 });
      expect(await carryOut()).toMatchObject({ acted: 0 });
      expect(await t.counts()).toEqual({ pending: 1, archived: 29 });
    });
  });

  it("come through many dead letters in bounded steps, each once", async (t) => {
    await withRules(t, async ({ letters, add, carryOut }) => {
      const ids = Array.from({ length: 450 }, (_, n) => `id-${String(n).padStart(3, "0")}`);
      await dead(t, ids);
      await add({ mode: "shadow", search: `queue:"${t.queue}" id:*7` });

      expect(await carryOut()).toMatchObject({ looked: 450, would: 45 });
      await dead(t, ["id-9997", "id-9998"], -300_000);
      expect(await carryOut()).toMatchObject({ looked: 2, would: 1 });
      expect(await letters.rules()).toMatchObject([{ would: 46 }]);
    });
  });

  it("are carried out by one at a time", async (t) => {
    await withRules(t, async ({ letters, add }) => {
      await dead(t, ["a"]);
      await add();
      const [one, two] = [letters.ruleEvaluator(), letters.ruleEvaluator()];

      const steps = await Promise.all([one.step(), two.step()]);
      expect(steps.filter(({ elsewhere }) => elsewhere)).toHaveLength(1);
      expect(steps.reduce((sum, { acted }) => sum + acted, 0)).toBe(1);
      await Promise.all([one.close(), two.close()]);
      expect(await two.step()).toMatchObject({ elsewhere: false });
      await two.close();
    });
  });

  it("are previewed without being there, and refused where they cannot be", async (t) => {
    await withRules(t, async ({ letters, add }) => {
      await dead(t, ["a", "b"]);
      await letters.quarantine({ queue: t.queue, ids: ["b"] });

      const preview = await letters.previewRule({ search: `queue:"${t.queue}"`, action: "run" });
      expect(preview).toMatchObject({
        matched: 2,
        would: 1,
        left: { quarantined: 1 },
        types: { "test:plain": 1 },
        queues: { [t.queue]: 1 },
        samples: [{ queue: t.queue, id: "a" }],
      });
      const odd = t.queueNamed('"\\:*\b\u0085é');
      await dead(t, ["c"], minutes, { type: `odd ${t.queue}` }, odd);
      const inOdd = await letters.previewRule({ search: `type:"odd ${t.queue}"`, action: "run" });
      expect(inOdd).toMatchObject({ matched: 1, queues: { [odd]: 1 } });
      expect(await letters.rules()).toEqual([]);
      await add();
      for (const [wrong, option] of [
        [{}, "rule.name"],
        [{ name: "a b" }, "rule.name"],
        [{ name: "x", owner: undefined }, "rule.owner"],
        [{ name: "x", expires: undefined }, "rule.expires"],
        [{ name: "x", action: "route" }, "rule.queue"],
        [{ name: "x", perMinute: 0 }, "rule.perMinute"],
      ] as const)
        await expect(add(wrong as RuleOptions)).rejects.toMatchObject({ code: "OPTION_INVALID", data: { option } });
      await expect(add({ name: "x", search: "typ:x" })).rejects.toMatchObject({ code: "SEARCH_INVALID" });
      await expect(letters.removeRule("none")).rejects.toMatchObject({ code: "RULE_NOT_FOUND" });
      const acts = await t.broker.audit.read([{ log: "" }], 1, true);
      expect(acts[0]![0]).toMatchObject({ verb: "rule add", actor: "ann" });
      expect(acts[0]![0]!.what).not.toContain(t.queue);
    });
  });
});
