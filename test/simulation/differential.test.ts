import { expect, it } from "vitest";
import type { Broker } from "../../src/broker/broker.js";
import { onRedis } from "../support/on-redis.js";
import { describeRedis, type RedisServer } from "../support/redis-server.js";
import { seed } from "../support/seed.js";
import { differential } from "./differential.js";

/** More by `npm run simulate -- --differential 1000`. */
const sequences = Number(process.env["SEQUENCES"] ?? 25);

describeRedis("the simulated storage", () => {
  let broker: Broker;
  let server: RedisServer;
  onRedis((site) => ({ broker, server } = site));

  it(`answers as Redis does: SEED=${seed} SEQUENCES=${sequences}`, { timeout: 600_000 }, async () => {
    for (let n = 0; n < sequences; n += 1) {
      const calls: string[] = [];
      for await (const { call, simulated, real } of differential(seed * 1_000 + n, broker, server)) {
        calls.push(call);
        expect(simulated, `sequence ${n}: ${calls.join(", ")}`).toEqual(real);
      }
    }
  });
});
