import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { Client, connect, defineTask, Inspector } from "../../src/index.js";
import { listAlerts } from "../../src/ops/index.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";
import { monitorOf } from "./monitor-process.js";
import { WebhookReceiver } from "./receivers.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-monitors-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const leaseMs = 15_000;

describeRedis("two monitors of one storage", () => {
  it("tell each thing once, and the other goes on when the one that does it is killed", async () => {
    await using redis = await RedisServer.start();
    await using receiver = await WebhookReceiver.start();
    await using broker = connect(redis.url);
    const config = join(folder, "monitor.json");
    const rules = { NoWorkers: { for: "0s", keepFiring: "0s" } };
    writeFileSync(
      config,
      JSON.stringify({ pollEvery: "100ms", rules, channels: [{ kind: "webhook", url: receiver.url }] }),
    );
    const client = new Client(broker);
    const enqueue = async (queue: string) => client.enqueue(defineTask("mail:send", { queue })());
    const told = () => receiver.notifications.map(({ labels, event }) => `${labels["queue"]} ${event}`).toSorted();
    const monitors = await Promise.all([monitorOf(redis.url, config), monitorOf(redis.url, config)]);
    try {
      for (const queue of ["a", "b", "c"]) await enqueue(queue);
      await until("all are told", () => receiver.all.length === 3);
      const judges = await Promise.all(
        monitors.map(async ({ metrics }) =>
          (await (await fetch(metrics)).text()).includes('alerts_firing{severity="critical"} 3'),
        ),
      );
      expect(judges.filter(Boolean)).toHaveLength(1);

      monitors[judges.indexOf(true)]!.child.kill("SIGKILL");
      // Its leases end within this; the test does not wait for them, but ends them now.
      const store = broker.deadLetters!;
      const nowMs = broker.clock.nowMs();
      const ended = (await store.readDocuments("duty", ["alerts", "notifications"])).map(({ id, version, value }) => {
        const { untilMs } = value as { untilMs: number };
        expect(untilMs - nowMs).toBeLessThanOrEqual(leaseMs);
        return { id, ifVersion: version, value: { holder: "it is dead", untilMs: nowMs } };
      });
      await store.writeDocuments("duty", ended, nowMs);
      await new Inspector(broker).drop("a", { force: true });
      await enqueue("d");

      await until("the other goes on", () => receiver.all.length >= 5);
      await until("and has nothing to send", async () =>
        (await listAlerts(broker)).every(({ undelivered }) => undelivered === 0),
      );
      expect(told()).toEqual(["a firing", "a resolved", "b firing", "c firing", "d firing"]);
    } finally {
      for (const { child } of monitors) child.kill("SIGKILL");
    }
  });
});
