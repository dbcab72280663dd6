import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { Client, connect, defineTask, Inspector, Worker } from "../../src/index.js";

const secret = "hunter2-of-the-url";
const urls = [
  `redis://bob:${secret}@127.0.0.1:1/0`,
  `rediss://:${secret}@127.0.0.1:1`,
  `redis-socket://bob:${secret}@/nowhere/redis.sock`,
  `redis-cluster://:${secret}@127.0.0.1:1,127.0.0.1:2`,
  `redis-sentinel://:${secret}@127.0.0.1:1?master=m`,
];

/** Whatever a logger may make of a value. */
const pictures = (value: unknown) => [
  inspect(value, { depth: 20, showHidden: true, getters: true }),
  JSON.stringify(value) ?? "",
  String(value),
];

describe.each(urls)("the password of %s", (url) => {
  it("is in no picture of a public object, nor of an error that one throws", async () => {
    const broker = connect(url, { timeout: "50ms" });
    const inspector = new Inspector(broker as unknown as ConstructorParameters<typeof Inspector>[0]);
    const worker = new Worker(broker, { log: silent });
    const client = new Client(broker, { timeout: "50ms" });
    const calls = [
      () => broker.ping(),
      () => worker.start(),
      () => client.enqueue(defineTask("t")()),
      () => inspector.queues(),
    ];

    const errors = await Promise.all(
      calls.map((call) =>
        call().then(
          () => expect.unreachable("there is no such server"),
          (error: unknown) => error,
        ),
      ),
    );

    for (const value of [broker, worker, client, inspector, ...errors]) {
      for (const picture of pictures(value)) expect(picture).not.toContain(secret);
      // oxlint-disable-next-line no-control-regex
      expect(inspect(value, { depth: 20 })).not.toMatch(/\u001b/);
    }
    await broker.close();
  });
});
