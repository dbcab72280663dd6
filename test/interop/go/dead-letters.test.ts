import { afterAll, beforeAll, expect, it } from "vitest";
import { silent } from "../../../src/core/log.js";
import { DeadLetters, type FailureGroup } from "../../../src/deadletter/index.js";
import { Client, defineTask, fixed, Worker } from "../../../src/index.js";
import { until } from "../../support/until.js";
import { buildTimeoutMs, describeGo } from "./programs.js";
import { Site } from "./site.js";
import type { GoTaskInfo } from "./witness.js";

const queue = "mail";
const ids = (whose: string) => Array.from({ length: 6 }, (_, n) => `${whose}-${n}`);
const [ofGo, ofOurs] = [ids("go"), ids("ours")];

describeGo("dead letters of a fleet of Go and of TypeScript", () => {
  let site: Site;
  let letters: DeadLetters;

  beforeAll(async () => {
    site = await Site.open();
    letters = new DeadLetters(site.broker);
    await fail();
  }, buildTimeoutMs);
  afterAll(() => site.close());

  const mail = defineTask("email:send", { queue, maxRetry: 0, retry: fixed("1s") });
  const archived = async () => (await site.inspector.list({ queue, state: "archived" })).items.map(({ id }) => id);
  const ofGroup = async (fingerprint: string) =>
    (await letters.groupTasks(fingerprint)).items.map(({ id }) => id).toSorted();
  const onlyGroup = async (): Promise<FailureGroup> => {
    const { groups } = await until("all are in groups", async () => {
      const all = await letters.groups();
      return all.unindexed === 0 ? all : undefined;
    });
    expect(groups).toHaveLength(1);
    return groups[0]!;
  };

  /** The same tasks fail for the same reason, some in workers of Go's, some in ours, one in both. */
  async function fail(): Promise<void> {
    const client = new Client(site.broker);
    const fails = { "email:send": { fail: 9, error: "no such user 17" } };
    await client.enqueue(mail(undefined, { id: "both", maxRetry: 1 }));
    const worker = new Worker(site.broker, { queues: { [queue]: 1 }, log: silent });
    worker.handle(mail, (_payload, { id }) => {
      throw new Error(`no such user ${id.length * 1_000}`);
    });
    await worker.start();
    for (const id of ofOurs) await client.enqueue(mail(undefined, { id }));
    await until("ours are dead", async () => (await archived()).length === ofOurs.length);
    await worker.stop();
    for (const id of ofGo) await client.enqueue(mail(undefined, { id }));
    await site.go.serve({ queues: { [queue]: 1 }, handlers: fails });
    await until("all are dead", async () => (await archived()).length === 13, 10_000);
    await site.go.stop();
  }

  it("are one group where the cause is one, with the reason inferred for Go's", async () => {
    const group = await onlyGroup();

    expect(group).toMatchObject({ count: 13, types: ["email:send"], reasons: ["retries_exhausted"] });
    expect(await ofGroup(group.fingerprint)).toEqual(["both", ...ofGo, ...ofOurs]);
    const failureOf = async (id: string) => (await site.inspector.find(queue, id))!.failure;
    expect(await failureOf("go-0")).toMatchObject({ reason: "retries_exhausted", inferred: true });
    expect(await failureOf("ours-0")).toMatchObject({ reason: "retries_exhausted", class: "Error" });
    expect(await failureOf("ours-0")).not.toHaveProperty("inferred");
    // Of what failed in both the attempt here is known as it was.
    expect((await site.inspector.find(queue, "both"))!.history).toMatchObject([{ reason: "failed", class: "Error" }]);
    const told = await site.go.inspect<GoTaskInfo[]>("list", { queue, state: "archived" });
    expect(told.map(({ id }) => id)).toEqual(await archived());
    expect(told.every(({ lastErr }) => lastErr.startsWith("no such user "))).toBe(true);
  });

  it("are run and deleted by Go, discarded and redriven by us: what one does the other sees, and nothing is left", async () => {
    const { fingerprint } = await onlyGroup();
    const go = (verb: string, id: string) => site.go.inspect(verb, { queue, id });
    await letters.discard({ queue, ids: ["ours-2", "go-2"] }, { reason: "a test" });
    const redriven = ["ours-3", "go-3", "ours-4", "go-4"];
    const { id } = await letters.redrives.start({ queue, ids: redriven }, { canary: 0, rate: 5_000, ramp: "0s" });
    // What is chosen by then Go takes away.
    await letters.redrives.step((error) => {
      throw error;
    });
    for (const whose of ["ours", "go"]) {
      await go("run", `${whose}-0`);
      await go("delete", `${whose}-1`);
      await go("delete", `${whose}-3`);
    }
    expect((await onlyGroup()).count).toBeLessThanOrEqual(9);
    await site.go.serve({ queues: { [queue]: 1 } });
    await letters.redrives.drive(id);
    for (const one of ["ours-0", "go-0"])
      await until(`${one}, which Go ran, is done`, async () => (await site.inspector.find(queue, one)) === undefined);
    await site.go.stop();

    const became: Record<string, string> = {};
    for await (const one of letters.redrives.outcomes(id)) became[one.id] = one.became;
    expect(became).toEqual({ "ours-3": "notMoved", "go-3": "notMoved", "ours-4": "succeeded", "go-4": "succeeded" });
    await letters.restore({ queue, ids: ["ours-2", "go-2"] });
    expect((await archived()).toSorted()).toEqual(["both", "go-2", "go-5", "ours-2", "ours-5"]);
    expect((await onlyGroup()).count).toBe(5);
    expect(await ofGroup(fingerprint)).toEqual((await archived()).toSorted());

    await site.go.inspect("deleteAll", { queue, state: "archived" });
    await until("the group is empty", async () => (await letters.groups()).groups.length === 0);
    // What a redrive has moved is kept until it has seen what became of it, and a moment longer.
    const seen = ["go-4", "ours-4"].map((one) => `asynq:{mail}:t:${one}`);
    expect(seen).toEqual(expect.arrayContaining(await site.server.admin.keys("asynq:{mail}:t:*")));
    const left = (await site.server.admin.keys("holdfast:{mail}:*")).map((key) => key.split(":")[2]!);
    const kept = ["audit", "fps", "index", "outcomes", "redrive", "redrive-counts", "req"];
    expect([...new Set(left)].toSorted()).toEqual(kept);
  }, 30_000);
});
