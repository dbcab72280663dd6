import { afterAll, beforeAll, expect, it } from "vitest";
import type { Broker } from "../../src/broker/broker.js";
import { GoReader } from "../interop/go/go-reader.js";
import { buildTimeoutMs, hasGo } from "../interop/go/programs.js";
import { onRedis } from "../support/on-redis.js";
import { describeRedis, type RedisServer } from "../support/redis-server.js";
import { besiege } from "./siege.js";
import { seed } from "../support/seed.js";

const spaces = 200;
const withGo = hasGo("Go's asynq reads what is left of a hostile key space");

describeRedis("whatever is in the keys of a queue", () => {
  let server: RedisServer;
  let broker: Broker;

  onRedis((site) => ({ server, broker } = site));

  let go: GoReader | undefined;
  beforeAll(async () => {
    if (withGo) go = await GoReader.on(server);
  }, buildTimeoutMs);
  afterAll(() => go?.close());

  it("stops no healthy task, is never lost, and leaves nothing that a peer cannot read", async () => {
    let told = 0;
    for (let n = 0; n < spaces; n += 1) told += (await besiege(server.admin, broker, seed + n, go?.peer)).problems;

    // Keys of the wrong type were among it.
    expect(told).toBeGreaterThan(0);
    if (go === undefined) return;
    expect(go.spaces).toBe(spaces);
    expect(go.told).toBeGreaterThan(spaces / 2);
  }, 300_000);

  it("is told with the seed it came from, when it is more than the engine takes", async () => {
    const faulty = new Proxy(broker, {
      get(target, name) {
        if (name === "prune") return () => Promise.reject(new TypeError("cannot read properties of undefined"));
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });

    await expect(besiege(server.admin, faulty, 7)).rejects.toThrow(/^seed 7, queue ".*": cannot read properties/);
  });
});
