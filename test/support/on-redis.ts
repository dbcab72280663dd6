import { afterAll, beforeAll, beforeEach } from "vitest";
import type { Broker } from "../../src/broker/broker.js";
import { redisBroker } from "../../src/redis/index.js";
import { RedisServer } from "./redis-server.js";

interface Site {
  readonly server: RedisServer;
  readonly broker: Broker;
}

/** A server and a broker on it for the tests of a suite, each of which finds the server empty. */
export function onRedis(
  use: (site: Site) => void,
  config: NonNullable<Parameters<typeof RedisServer.start>[0]>["config"] = {},
  options: Omit<Parameters<typeof redisBroker>[0], "url"> = {},
): void {
  let site: Site;
  beforeAll(async () => {
    const server = await RedisServer.start({ config });
    site = { server, broker: redisBroker({ url: server.url, ...options }) };
    use(site);
  });
  beforeEach(async () => {
    await site.server.admin.flushall();
  });
  afterAll(async () => {
    await site.broker.close();
    await site.server.stop();
  });
}
