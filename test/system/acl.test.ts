import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { DeadLetters } from "../../src/deadletter/index.js";
import { Client, connect, defineTask, fixed, Inspector, SkipRetry, Worker } from "../../src/index.js";
import { type AclExtra, type AclRole, aclRoles, aclRule } from "../../src/ops/acl.js";
import { checkStored } from "../../src/ops/audit/check.js";
import { sealingDuty } from "../../src/ops/audit/duty.js";
import { checkingKeys, newKeyPair, sealingKey } from "../../src/ops/audit/keys.js";
import { lastActs, unsealedActs } from "../../src/ops/audit/look.js";
import { sealStep } from "../../src/ops/audit/seal.js";
import { Monitor } from "../../src/ops/monitor.js";
import { newTask } from "../support/builders.js";
import { keyspace } from "../support/keyspace.js";
import { RedisCluster } from "../support/redis-cluster.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-acl-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const passwordHash = createHash("sha256").update("secret").digest("hex");
const pair = newKeyPair();
const key = sealingKey(pair.privateKey);
const job = defineTask("job", { retry: fixed("1s"), maxRetry: 1 });

interface Place {
  readonly url: string;
  readonly masters: readonly RedisServer[];
  stop(): Promise<void>;
}

/** The rights of all roles are in each node's configuration, as one would apply them. */
const places: Record<string, () => Promise<Place>> = {
  "one server": async () => {
    const server = await RedisServer.start({ config: { user: users([]) } });
    return { url: server.url, masters: [server], stop: () => server.stop() };
  },
  "a Cluster": async () => RedisCluster.start(3, { user: users(["cluster"]) }),
};

function users(extras: readonly AclExtra[]): string[] {
  const rules = aclRoles.map((role) => aclRule(role, { passwordHash, extras }));
  rules.push(aclRule("operator", { user: "holdfast-mail", passwordHash, queues: ["mail"], extras }));
  return rules.map((rule) => rule.slice("user ".length));
}

const hasFingerprints = async ({ admin }: RedisServer) =>
  (await admin.exists("holdfast:{default}:fps").catch(() => 0)) === 1;

for (const [on, start] of Object.entries(places)) rolesOn(on, start);

function rolesOn(on: string, start: () => Promise<Place>): void {
  describeRedis(`roles as holdfast acl has them, on ${on}`, () => {
    let place: Place;
    const as = (role: AclRole | "mail") =>
      connect(place.url, { username: `holdfast-${role}`, password: "secret", log: silent });

    beforeAll(async () => {
      place = await start();
    });
    afterAll(() => place?.stop());

    /** A queue "default" with tasks in the states that one can look at, two of them dead. */
    async function filled(): Promise<void> {
      for (const { admin } of place.masters) await admin.flushall();
      await using broker = connect(place.url, { log: silent });
      const nowMs = broker.clock.nowMs();
      const ids = ["dead", "dead2", "dead3", "pending", "scheduled"];
      await broker.enqueue(
        [
          newTask({ id: "active", queue: "default" }),
          newTask({ id: "1", queue: "other" }),
          ...ids.map((id) =>
            newTask({ id, queue: "default" }, id === "scheduled" ? { processAtMs: nowMs + 600_000 } : {}),
          ),
        ],
        nowMs,
      );
      const lease = { workerId: "w", requestId: "r", queues: ["default"], limit: 1, leaseMs: 600_000, suspects: 0 };
      await broker.exchange({ settle: [], lease }, nowMs);
      const inspector = new Inspector(broker);
      await inspector.archive({ queue: "default", ids: ["dead", "dead2", "dead3"] });
      for (const { admin } of place.masters) await admin.call("ACL", "LOG", "RESET");
    }

    /** What was refused, without what everybody tries and does without. */
    async function denied(): Promise<string[]> {
      const logs = await Promise.all(place.masters.map(({ admin }) => admin.call("ACL", "LOG") as Promise<string[][]>));
      const lines = logs.flat().map((entry) => `${entry[9]!} ${entry[5]} ${entry[7]}`.replace("holdfast-", ""));
      return [...new Set(lines)].toSorted();
    }

    describe("do what they must", () => {
      beforeEach(filled);

      it("producer and worker", async () => {
        await using producer = as("producer");
        await using at = as("worker");
        const client = new Client(producer, { maxPending: 1_000 });
        const worker = new Worker(at, { concurrency: 2, leaseDuration: "5s", log: silent });
        let runs = 0;
        worker.handle(job, async (_payload, task) => {
          runs += 1;
          if (runs === 1) throw new Error("once more");
          if (runs === 2) throw new SkipRetry("dead");
          await task.once("charged", async () => "paid");
          task.progress({ done: 1 });
        });
        worker.handle(defineTask("test:plain"), async () => undefined);
        await worker.start();
        await client.enqueue(job());
        await client.enqueue(job(undefined, { unique: "1m" }));
        await client.enqueue(job(undefined, { processIn: "1s", retention: "1m" }));
        await until(
          "all have run",
          () => worker.counters().completed === 3 && worker.counters().archived === 1,
          20_000,
        );
        await until("maintenance has found who is dead", async () =>
          (await Promise.all(place.masters.map(hasFingerprints))).includes(true),
        );
        await worker.stop();

        expect(await denied()).toEqual(["producer toplevel info"]);
      });

      it("viewer", async () => {
        await using broker = as("viewer");
        const inspector = new Inspector(broker);
        const letters = new DeadLetters(broker);
        expect((await inspector.queues()).map(({ name }) => name)).toEqual(["default", "other"]);
        await inspector.queue("default");
        await inspector.history("default");
        await inspector.groups("default");
        expect(await inspector.memory(["default"])).not.toEqual([0]);
        for (const state of ["pending", "active", "scheduled", "retry", "archived", "completed"] as const) {
          await inspector.list({ queue: "default", state });
        }
        expect((await inspector.require("default", "dead")).state).toBe("archived");
        await inspector.workers();
        expect((await inspector.storage()).nodes[0]!.fields["acl_user"]).toBe("holdfast-viewer");
        await inspector.outages();
        await inspector.maintenance();
        expect((await letters.queues()).length).toBe(1);
        expect((await letters.search("reason:manual")).items).toHaveLength(3);
        await letters.trash("default");
        await letters.policies();
        await letters.growth();
        await letters.groups();
        await letters.rules();
        await letters.redrives.list();
        expect((await letters.export({ queue: "default", ids: ["dead"] }).next()).done).toBe(false);
        expect(await lastActs(broker.audit, 10)).toMatchObject([{ verb: "archive", sealed: false }]);
        expect((await unsealedActs(broker.audit)).count).toBe(1);
        await checkStored(broker.audit, checkingKeys([pair.publicKey]));

        // Marks that a viewer finds and does not write, and failures that others put into groups.
        expect((await denied()).filter((line) => !/ (set|rpop)$/.test(line))).toEqual([]);
      });

      it("operator", async () => {
        await using broker = as("operator");
        const inspector = new Inspector(broker, { actor: "ann" });
        const letters = new DeadLetters(broker, { actor: "ann" });
        const one = (id: string) => ({ queue: "default", ids: [id] });
        expect(await inspector.run(one("dead"))).toMatchObject({ receipts: [{ status: "moved" }] });
        await inspector.archive({ queue: "default", state: "pending" });
        expect(await inspector.updatePayload("default", "scheduled", { a: 1 })).toEqual({ status: "updated" });
        await inspector.pause("default");
        await inspector.resume("default");
        await inspector.cancel(one("active"));
        await inspector.delete(one("pending"));
        await letters.acknowledgeTasks(one("dead"));
        await letters.acknowledgeTasks(one("dead"), { undo: true });
        await letters.quarantine(one("dead"));
        await letters.unquarantine(one("dead"));
        await letters.discard(one("dead2"), { reason: "test data" });
        await letters.restore(one("dead2"));
        await letters.discard(one("dead2"), { reason: "test data" });
        await letters.purge(one("dead2"));
        await letters.copy("default", "dead3");
        const [group] = (await letters.groups()).groups;
        await letters.noteGroup(group!.fingerprint, "seen");
        await letters.acknowledgeGroup(group!.fingerprint);
        await letters.setPolicy({ queue: "default", keepMost: 10 });
        await letters.snoozeGroup(group!.fingerprint, { for: "1h" });
        await letters.reopenGroup(group!.fingerprint);
        await letters.resolveGroup(group!.fingerprint, { cause: "a certificate" });
        const rule = { owner: "ann", expires: "1d", after: "0s", action: "run" } as const;
        await letters.addRule({ ...rule, name: "again", search: "id:none" });
        await letters.setRuleMode("again", "live");
        await letters.previewRule("again");
        await letters.removeRule("again");
        await letters.removePolicy({ queue: "default" });
        const lines: string[] = [];
        for await (const line of letters.export(one("dead"))) lines.push(line);
        expect(await letters.spill(one("dead"), { directory: folder })).toMatchObject({ spilled: 1 });
        expect(await letters.import(lines)).toMatchObject({ imported: 1 });
        const { id } = await letters.redrives.start("queue:default");
        await letters.redrives.pause(id);
        await letters.redrives.rate(id, 5);
        await letters.redrives.resume(id);
        await letters.redrives.cancel(id);
        expect(await letters.redrives.drive(id)).toMatchObject({ phase: "ended", status: "cancelled" });
        expect(await letters.run(one("dead3"), { queue: "other" })).toMatchObject({ moved: 1 });
        await using at = as("worker");
        const worker = new Worker(at, { queues: { default: 1, other: 1 }, log: silent });
        worker.handle(defineTask("test:plain"), async () => undefined);
        await worker.start();
        const whole = await letters.redrives.start("queue:default", { canary: 0, ramp: "0s", maxRedrives: 1_000 });
        const over = await letters.redrives.drive(whole.id);
        expect(over).toMatchObject({ phase: "ended", status: "done" });
        expect(over.counts.succeeded).toBe(1);
        await worker.stop();
        await inspector.beginMaintenance({ drain: "1s" });
        await inspector.endMaintenance();
        await inspector.drop("other", { force: true });
        expect((await lastActs(broker.audit, 1))[0]).toMatchObject({ verb: "drop", actor: "ann" });

        expect(await denied()).toEqual([]);
      });

      it("sealer and monitor", async () => {
        await using sealer = as("sealer");
        expect(await sealStep(sealer, key)).toMatchObject({ sealed: 1, gaps: [] });
        await using broker = as("monitor");
        const heads: number[] = [];
        const duties = [sealingDuty(broker, key, { onHead: ({ n }) => heads.push(n), log: silent })];
        await using monitor = new Monitor(broker, { duties, log: silent });
        monitor.start();
        await new Inspector(broker).pause("default");
        await until("it has looked and sealed", () => monitor.health().lookedAtMs !== undefined && heads.at(-1) === 2);
        await monitor.stop();

        expect((await denied()).filter((line) => !line.startsWith("sealer") || !line.endsWith(" set"))).toEqual([]);
      });

      it("one queue's operator, who knows nothing of the others", async () => {
        await using all = as("producer");
        await new Client(all).enqueue(job(undefined, { queue: "mail" }));
        await using broker = as("mail");
        const inspector = new Inspector(broker);
        await inspector.pause("mail");
        await inspector.archive({ queue: "mail", state: "pending" });
        expect((await inspector.queue("mail")).counts.archived).toBe(1);

        const letters = new DeadLetters(broker, { actor: "ann" });
        const found = await letters.search("queue:mail reason:manual");
        expect(found.items).toHaveLength(1);
        expect((await letters.redrives.plan("queue:mail fp:v1:")).tasks).toBe(1);
        await expect(letters.search("reason:manual")).rejects.toThrow(
          /does not let this user: NOPERM .*keys.*: one of asynq:\{default\}:/,
        );

        await expect(inspector.list({ queue: "default", state: "archived" })).rejects.toThrow(refused);
        await expect(inspector.pause("default")).rejects.toThrow(refused);
      });
    });

    const refused = /can't run this command|can't access at least one of the keys|NOPERM/;
    type Broker = ReturnType<typeof as>;
    const ids = (id: string) => ({ queue: "default", ids: [id] });
    const acts: Record<
      string,
      (broker: Broker, raw: (...args: (string | number)[]) => Promise<unknown>) => Promise<unknown>
    > = {
      enqueue: (broker) => broker.enqueue([newTask({ id: "new", queue: "default" })], broker.clock.nowMs()),
      lease: (broker) => {
        const lease = { workerId: "w", requestId: "r", queues: ["default"], limit: 1, leaseMs: 5_000, suspects: 0 };
        return broker.exchange({ settle: [], lease }, broker.clock.nowMs());
      },
      "list tasks": (broker) => new Inspector(broker).list({ queue: "default", state: "archived" }),
      "see a task": (broker) => new Inspector(broker).require("default", "dead"),
      "run a dead letter": (broker) => new Inspector(broker).run(ids("dead")),
      "delete a task": (broker) => new Inspector(broker).delete(ids("dead")),
      "edit a payload": (broker) => new Inspector(broker).updatePayload("default", "scheduled", 1),
      pause: (broker) => new Inspector(broker).pause("default"),
      cancel: (broker) => new Inspector(broker).cancel(ids("active")),
      drop: (broker) => new Inspector(broker).drop("other", { force: true }),
      "begin maintenance": (broker) => new Inspector(broker).beginMaintenance({ drain: "1s" }),
      discard: (broker) => new DeadLetters(broker).discard(ids("dead"), { reason: "test data" }),
      acknowledge: (broker) => new DeadLetters(broker).acknowledgeTasks(ids("dead")),
      "set a policy": (broker) => new DeadLetters(broker).setPolicy({ queue: "default", keepMost: 10 }),
      "append an act": (broker) =>
        broker.audit.append([{ actor: "eve", reason: "", requestId: "", verb: "x", what: "", count: 0 }], 1),
      "read acts": (broker) => broker.audit.read([{ log: "default" }], 1),
      seal: (broker) => sealStep(broker, key),
      "cut off the sealed log": (broker) => broker.audit.trimSealed(1_000),
      "delete the log for all": (_, raw) => raw("DEL", "holdfast:audit"),
      "delete the sealed log": (_, raw) => raw("DEL", "holdfast:audit:sealed"),
      "cut a queue's log": (_, raw) => raw("XTRIM", "holdfast:{default}:audit", "MAXLEN", 0),
      flush: (_, raw) => raw("FLUSHALL"),
      configure: (_, raw) => raw("CONFIG", "SET", "appendonly", "no"),
      "read other keys": (_, raw) => raw("GET", "other:secret"),
      "list all keys": (_, raw) => raw("KEYS", "*"),
      "change rights": (_, raw) => raw("ACL", "SETUSER", "eve", "on"),
    };
    type ActName = keyof typeof acts;
    const everybody: ActName[] = [
      "flush",
      "configure",
      "read other keys",
      "list all keys",
      "change rights",
      "cut a queue's log",
      "delete the log for all",
    ];
    const steering = [
      "run a dead letter",
      "delete a task",
      "edit a payload",
      "pause",
      "cancel",
      "drop",
      "begin maintenance",
      "discard",
      "acknowledge",
      "set a policy",
    ];
    const sealing = ["seal", "cut off the sealed log", "delete the sealed log"];
    const forbidden: Record<AclRole, ActName[]> = {
      producer: [...everybody, ...steering, ...sealing, "lease", "list tasks", "append an act", "read acts"],
      worker: [...everybody, ...steering, ...sealing, "append an act", "read acts"],
      viewer: [...everybody, ...steering, ...sealing, "enqueue", "lease", "append an act"],
      operator: [...everybody, ...sealing],
      sealer: [...everybody, ...steering, "enqueue", "lease", "list tasks", "see a task", "append an act"],
      monitor: [...everybody],
    };

    // What a rule refuses, it refuses on each node.
    if (on !== "one server") return;
    describe("are kept from what is not theirs", () => {
      beforeAll(filled);

      it.each(Object.entries(forbidden))("%s", async (role, names) => {
        await using broker = as(role as AclRole);
        const { admin } = place.masters[0]!;
        const client = admin.duplicate({
          username: `holdfast-${role}`,
          password: "secret",
          enableReadyCheck: false,
        });
        client.on("error", () => undefined);
        await client.call("PING");
        const before = await keyspace(admin);
        const allowed: string[] = [];
        for (const name of new Set(names)) {
          await admin.call("ACL", "LOG", "RESET");
          const raw = (...args: (string | number)[]) => client.call(...(args as [string]));
          const answer = await acts[name]!(broker, raw).catch((error: Error) => error.message);
          const text = typeof answer === "string" ? answer : JSON.stringify(answer);
          // Who may not look at a task is told that there is none: then it is the server that says whom it refused.
          const kept = refused.test(text) || (text.includes('"notFound"') && (await denied()).length > 0);
          if (!kept) allowed.push(`${name}: ${text}`);
          expect(await keyspace(admin), name).toEqual(before);
        }
        client.disconnect();
        expect(allowed).toEqual([]);
      });
    });
  });
}
