import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Client, connect, defineTask, Worker } from "../../src/index.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

describeRedis("task.once and kill -9", () => {
  it("gives the result of the effect that was done, and repeats neither that nor the one that was begun", async () => {
    await using server = await RedisServer.start();
    await using broker = connect(server.url);
    const effects = defineTask("effects");
    await new Client(broker).enqueue(effects());
    const child = fork(join(import.meta.dirname, "once-child.mjs"), [server.url], { stdio: "inherit" });
    const exited = once(child, "exit");
    await once(child, "message");
    child.kill("SIGKILL");
    await exited;

    const seen: unknown[] = [];
    const worker = new Worker(broker, { leaseDuration: "5s" }).handle(effects, async (_payload, task) => {
      const again = () => "happened again";
      seen.push(task.crashes, task.attempt);
      seen.push(await task.once("first", again));
      seen.push(await task.once("second", again, { ifInterrupted: () => "asked the other side" }));
    });
    await worker.start();
    await until("the task has run", () => worker.counters().completed === 1, 30_000);
    await worker.stop();

    expect(seen).toEqual([1, 1, "done before the crash", "asked the other side"]);
  }, 60_000);
});
