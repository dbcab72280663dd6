import { afterEach, beforeEach, expect, it } from "vitest";
import type { Broker } from "../../src/broker/broker.js";
import type { Signal } from "../../src/broker/roles.js";
import { redisBroker } from "../../src/redis/index.js";
import { newTask } from "../support/builders.js";
import { RedisCluster } from "../support/redis-cluster.js";
import { describeRedis } from "../support/redis-server.js";
import { until } from "../support/until.js";

const key = (queue: string) => `asynq:{${queue}}:pending`;

describeRedis("waking on a Cluster", () => {
  let cluster: RedisCluster;
  let broker: Broker;
  const heard: Signal[] = [];

  beforeEach(async () => {
    heard.length = 0;
    cluster = await RedisCluster.start();
    broker = redisBroker({ url: cluster.url });
  });
  afterEach(async () => {
    await broker.close();
    await cluster.stop();
  });
  const queues = Array.from({ length: 30 }, (_, n) => `queue-${n}`);
  const put = (queue: string, id: string) => broker.enqueue([newTask({ id, queue })], broker.clock.nowMs());
  const told = (queue: string) =>
    until(`${queue} is told`, () => heard.some((signal) => signal.kind === "wake" && signal.queue === queue));

  it("tells of tasks on every node, and of cancellations", async () => {
    const subscription = await broker.subscribe(queues, (signal) => heard.push(signal));
    await until("it listens", () => subscription.listening);
    expect(new Set(queues.map((queue) => cluster.masterOf(key(queue)))).size).toBe(3);

    for (const queue of queues) await put(queue, "1");
    for (const queue of queues) await told(queue);

    await cluster.masters[2]!.admin.publish("asynq:cancel", "x");
    await until("it is told", () => heard.some(({ kind }) => kind === "cancel"));
  });

  it("tells of a queue that has moved to another node", async () => {
    const [queue] = queues as [string];
    const subscription = await broker.subscribe([queue], (signal) => heard.push(signal));
    await until("it listens", () => subscription.listening);
    const to = cluster.masters.find((one) => one !== cluster.masterOf(key(queue)))!;
    await put(queue, "1");

    await cluster.beginMove(key(queue), to);
    while ((await cluster.moveKeys(key(queue), to, 100)) > 0);
    await cluster.endMove(key(queue), to);

    await until(
      "it listens there",
      async () => {
        // Who works on the queue is told by the server where it is now.
        await put(queue, `${performance.now()}`);
        return / flags=\S*t/.test(String(await to.admin.client("LIST")));
      },
      20_000,
    );
    heard.length = 0;
    subscription.watch(true);
    await put(queue, "last");

    await until("it is told", () => heard.length > 0);
    expect(subscription.listening).toBe(true);
  });
});
