import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { SealedText } from "../../src/broker/audit.js";
import { silent } from "../../src/core/log.js";
import { type ChainVerdict, ChainCheck, checkStored, sealedLines } from "../../src/ops/audit/check.js";
import { sealingDuty } from "../../src/ops/audit/duty.js";
import { checkingKeys, newKeyPair, sealingKey } from "../../src/ops/audit/keys.js";
import { unsealedActs } from "../../src/ops/audit/look.js";
import { type AuditHead, type AuditRecord, sealedRecord, textOf } from "../../src/ops/audit/record.js";
import { sealStep } from "../../src/ops/audit/seal.js";
import { Monitor } from "../../src/ops/monitor.js";
import { newTask } from "../support/builders.js";
import { describeRedis } from "../support/redis-server.js";
import { until } from "../support/until.js";
import { type Audited, engines } from "./audited.js";

const pair = newKeyPair();
const key = sealingKey(pair.privateKey);
const keys = checkingKeys([pair.publicKey]);
const by = { actor: "ann", reason: "the bank is open again", requestId: "r1" };

for (const [name, engine] of Object.entries(engines)) {
  (engine.needsRedis ? describeRedis : describe)(`the sealed audit log (${name})`, () => {
    let run: Awaited<ReturnType<typeof engine.start>>;
    let at: Audited;
    beforeAll(async () => {
      run = await engine.start();
    });
    afterAll(() => run[Symbol.asyncDispose]());
    beforeEach(async () => {
      at = await run.fresh();
    });
    afterEach(() => at[Symbol.asyncDispose]());

    const nowMs = () => at.broker.clock.nowMs();
    const records = () => at.broker.audit.sealed(1, 500);
    const parsed = async () => (await records()).map(({ text }) => JSON.parse(text) as AuditRecord);
    const append = (verb: string) => at.broker.audit.append([{ ...by, verb, what: "rule:1", count: 0 }], nowMs());
    const problems = ({ ok, problems: all }: ChainVerdict) => ({
      ok,
      all: all.map(({ n, problem }) => `${n} ${problem}`),
    });

    /** Six acts on two queues and on none, sealed in two steps. */
    async function sealedLog(): Promise<AuditHead> {
      for (const queue of ["a", "b"]) await at.broker.enqueue([newTask({ id: "1", queue })], nowMs());
      await at.broker.setPaused(["a", "b"], true, by, nowMs());
      await append("rule add");
      await sealStep(at.broker, key);
      await at.broker.move({ queue: "a", ids: ["1"] }, "archived", by, { limit: 1 }, nowMs());
      await at.broker.setPaused(["b"], false, by, nowMs());
      await append("rule remove");
      return (await sealStep(at.broker, key)).head!;
    }

    it("has each act of all queues once, in its order, and is whole", async () => {
      const head = await sealedLog();

      const all = await parsed();
      expect(all.map(({ n, kind }) => `${n} ${kind}`)).toEqual([1, 2, 3, 4, 5, 6].map((n) => `${n} act`));
      const of = (log: string) =>
        all.filter((record) => record.log === log).map(({ verb, number }) => `${number} ${verb}`);
      expect([of("a"), of("b"), of("")]).toEqual([
        ["1 pause", "2 archive"],
        ["1 pause", "2 resume"],
        ["1 rule add", "2 rule remove"],
      ]);
      expect(all.find(({ verb }) => verb === "archive")).toMatchObject({ ...by, what: '["1"]', count: 1, log: "a" });
      expect(await sealStep(at.broker, key, head)).toEqual({ sealed: 0, gaps: [], head, more: false });
      const verdict = await checkStored(at.broker.audit, keys, [head]);
      expect(verdict).toMatchObject({ ok: true, records: 6, problems: [], told: [], first: 1, head });
    });

    it("finds nothing missing of a queue that is dropped in several calls while it is sealed", async () => {
      const tasks = ["1", "2", "3", "4", "5"].map((id) => newTask({ id, queue: "doomed" }));
      await at.broker.enqueue(tasks, nowMs());
      await at.broker.setPaused(["doomed"], true, by, nowMs());
      const gaps: string[] = [];
      let receipt: string;
      do {
        receipt = await at.broker.dropQueue("doomed", { force: true, limit: 2 }, by, nowMs());
        gaps.push(...(await sealStep(at.broker, key)).gaps);
      } while (receipt === "more");

      expect([receipt, gaps]).toEqual(["dropped", []]);
      expect((await parsed()).filter(({ verb }) => verb.includes("drop")).length).toBeGreaterThan(0);
    });

    type Tamper = (records: SealedText[], texts: AuditRecord[]) => SealedText[];
    const replaced = (record: AuditRecord, fields: Partial<AuditRecord>) => textOf({ ...record, ...fields });
    const tampered: [what: string, how: Tamper, found: string][] = [
      [
        "an edit",
        (all, r) => all.with(2, replaced(r[2]!, { actor: "bob" })),
        "3 was changed: it does not have its hash",
      ],
      [
        "an edit with its hash made anew",
        (all, r) =>
          all.with(2, textOf({ ...sealedRecord({ ...r[2]!, actor: "bob" }, r[2]!.prev, key), sig: r[2]!.sig })),
        "3 its signature is not valid",
      ],
      [
        "a chain made anew with another key",
        (_, r) => remade(r, sealingKey(newKeyPair().privateKey)),
        "is none of those given",
      ],
      ["a cut in the middle", (all) => [...all.slice(0, 2), ...all.slice(4)], "5 records 3 to 4 are missing before it"],
      ["a cut at the beginning", (all) => all.slice(1), "2 record 1 is missing before it"],
      [
        "two that changed places, numbers and all",
        (all, r) => all.with(1, replaced(r[2]!, { n: 2 })).with(2, replaced(r[1]!, { n: 3 })),
        "2 does not follow record 1",
      ],
      ["a line that is none", (all) => all.with(3, { ...all[3]!, text: "{}" }), "undefined a line that is no record"],
    ];
    it.each(tampered)("shows %s", async (_what, how, found) => {
      await sealedLog();

      await at.replace(how(await records(), await parsed()), true);

      const { ok, all } = problems(await checkStored(at.broker.audit, keys));
      expect(ok).toBe(false);
      expect(all.join("\n")).toContain(found);
    });

    it("shows an end that was cut off, by the head that was kept elsewhere", async () => {
      const head = await sealedLog();
      const all = await records();

      await at.replace(all.slice(0, 4), false);
      expect(problems(await checkStored(at.broker.audit, keys)).all).toEqual([
        "4 the log ends here, and storage says that it had ended at 6: its end was cut off",
      ]);

      await at.replace(all.slice(0, 4), true);
      expect((await checkStored(at.broker.audit, keys)).ok).toBe(true);
      expect(problems(await checkStored(at.broker.audit, keys, [head]))).toEqual({
        ok: false,
        all: ["4 the log ends here, and had ended at 6: its end was cut off"],
      });

      // Grown over: the sealer goes on, and tells what it knows.
      for (const verb of ["one", "two", "three"]) await append(verb);
      expect((await sealStep(at.broker, key, head)).gaps).toEqual(["the chain ended at record 4, and had ended at 6"]);
      const verdict = await checkStored(at.broker.audit, keys, [head]);
      expect(problems(verdict).all).toEqual([
        "6 is not the one whose hash was kept: the log was cut off before, and written anew",
      ]);
      expect(verdict.told).toEqual([{ n: 5, problem: "the chain ended at record 4, and had ended at 6" }]);
    });

    it("believes no head that was made up", async () => {
      const head = await sealedLog();
      const { ok, all } = problems(await checkStored(at.broker.audit, keys, [{ ...head, n: 5 }]));
      expect({ ok, first: all[0] }).toEqual({
        ok: false,
        first: "5 the head that was kept: its signature is not valid",
      });
    });

    it("tells acts that were gone before they were sealed", async () => {
      await sealedLog();
      for (const verb of ["a", "b", "c", "d"]) await append(verb);
      await at.forget("", 4);

      expect((await sealStep(at.broker, key)).gaps).toEqual(["acts 3 to 4 were gone before they were sealed"]);

      const verdict = await checkStored(at.broker.audit, keys);
      expect(verdict).toMatchObject({ ok: true, records: 9, told: [{ n: 7 }] });
      expect((await sealStep(at.broker, key)).sealed).toBe(0);
    });

    it("goes on in the log of a queue that was dropped and made again", async () => {
      await sealedLog();
      await at.broker.setPaused(["a"], false, by, nowMs());
      while ((await at.broker.dropQueue("a", { force: true, limit: 10 }, by, nowMs())) === "more");
      const { gaps } = await sealStep(at.broker, key);
      // On a file the queue's log stays.
      expect(gaps).toEqual(name === "redis" ? ['queue "a": act 3 was gone before it was sealed'] : []);

      await at.broker.enqueue([newTask({ id: "1", queue: "a" })], nowMs());
      await at.broker.setPaused(["a"], true, by, nowMs());

      expect(await sealStep(at.broker, key)).toMatchObject({ sealed: 1, gaps: [] });
      expect((await checkStored(at.broker.audit, keys)).ok).toBe(true);
    });

    it("has each act once, whoever seals at the same time, and after one that died half-way", async () => {
      await sealedLog();
      for (let n = 0; n < 20; n += 1) {
        await append(`verb ${n}`);
        if (n === 10) await at.forgetPlaces?.();
        await Promise.all([sealStep(at.broker, key), sealStep(at.broker, key), sealStep(at.broker, key)]);
      }
      await sealStep(at.broker, key);

      const verbs = (await parsed()).filter(({ log }) => log === "").map(({ verb }) => verb);
      expect(verbs).toEqual(["rule add", "rule remove", ...Array.from({ length: 20 }, (_, n) => `verb ${n}`)]);
      expect((await checkStored(at.broker.audit, keys)).ok).toBe(true);
    });

    it("is sealed by a monitor, which keeps its end and tells what is missing", async () => {
      for (const verb of ["a", "b", "c"]) await append(verb);
      await at.forget("", 1);
      const [heads, gaps]: [AuditHead[], unknown[]] = [[], []];
      const log = { ...silent, error: (fields: { gap?: unknown }) => gaps.push(fields.gap) };
      const duty = sealingDuty(at.broker, key, { onHead: (head) => heads.push(head), log });
      await using monitor = new Monitor(at.broker, { duties: [duty], log });
      monitor.start();
      await until("all are sealed", () => heads.at(-1)?.n === 3);

      expect(gaps).toEqual(["act 1 was gone before it was sealed"]);
      expect(await unsealedActs(at.broker.audit)).toEqual({ count: 0, more: false, sinceMs: undefined });
      await monitor.stop();
    });

    it("can be checked without storage, from what was exported in parts", async () => {
      const head = await sealedLog();
      const lines: string[] = [];
      for await (const line of sealedLines(at.broker.audit, 1)) lines.push(line);
      const check = new ChainCheck(keys, [head]);
      for (const line of [...lines.slice(0, 2), ...lines.slice(2)]) check.add(line);
      expect(check.end()).toMatchObject({ ok: true, records: 6 });

      const second = new ChainCheck(keys);
      for (const line of lines.slice(2)) second.add(line);
      expect(second.end().ok).toBe(false);
    });
  });
}

function remade(records: readonly AuditRecord[], other: ReturnType<typeof sealingKey>): SealedText[] {
  let prev = records[0]!.prev;
  return records.map((record) => {
    const made = sealedRecord(record, prev, other);
    prev = made.hash;
    return textOf(made);
  });
}
