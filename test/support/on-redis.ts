import { afterAll, beforeAll, beforeEach } from "vitest";
import type { Broker } from "../../src/broker/broker.js";
import type { Duration } from "../../src/core/duration.js";
import { redisBroker } from "../../src/redis/index.js";
import { RedisServer } from "./redis-server.js";

interface Site {
  readonly server: RedisServer;
  readonly broker: Broker;
}

/** A server and a broker on it for the tests of a suite, each of which finds the server empty. */
export function onRedis(
  use: (site: Site) => void,
  config: Record<string, string> = {},
  timeout: Duration = "2s",
): void {
  let site: Site;
  beforeAll(async () => {
    const server = await RedisServer.start({ config });
    site = { server, broker: redisBroker({ url: server.url, timeout }) };
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
