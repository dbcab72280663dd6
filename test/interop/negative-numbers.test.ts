import { expect, it } from "vitest";
import { encodeMessage } from "../../src/core/codec.js";
import { silent } from "../../src/core/log.js";
import { type Broker, defineTask, Worker } from "../../src/index.js";
import { message } from "../support/builders.js";
import { onRedis } from "../support/on-redis.js";
import { describeRedis, type RedisServer } from "../support/redis-server.js";

/** asynq's client takes Timeout(-time.Second), and a deadline before 1970. */
const timeoutOfMinus1S = Buffer.from("40ffffffffffffffffff01", "hex");
const deadlineIn1969 = Buffer.from("48ffffffffffffffffff01", "hex");

describeRedis("a task with a negative time", () => {
  let server: RedisServer;
  let broker: Broker;

  onRedis((site) => ({ server, broker } = site));

  const put = async (id: string, type: string, times: Buffer) => {
    const msg = Buffer.concat([encodeMessage(message({ id, type, timeoutMs: 0 })), times]);
    await server.admin.hset(`asynq:{default}:t:${id}`, { msg, state: "pending" });
    await server.admin.lpush("asynq:{default}:pending", id);
    await server.admin.sadd("asynq:queues", "default");
  };

  it("runs as one without it, and the worker says so once for each type", async () => {
    await put("a", "mail", timeoutOfMinus1S);
    await put("b", "mail", deadlineIn1969);
    await put("c", "bill", timeoutOfMinus1S);
    await put("d", "bill", Buffer.alloc(0));
    const warnings: object[] = [];
    const log = { ...silent, warn: (fields: object, sentence: string) => void warnings.push({ ...fields, sentence }) };
    const ran: string[] = [];
    const worker = new Worker(broker, { concurrency: 1, log });
    for (const type of ["mail", "bill"]) worker.handle(defineTask(type), (_, { id }) => void ran.push(id));

    await worker.drain();

    expect(ran).toEqual(["a", "b", "c", "d"]);
    const sentence = "a time or a count of this task is negative: it is read as none";
    expect(warnings).toEqual([
      { queue: "default", type: "mail", id: "a", sentence },
      { queue: "default", type: "bill", id: "c", sentence },
    ]);
  });
});
