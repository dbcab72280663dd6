import type { Broker } from "../broker/broker.js";
import { consoleLogger } from "../core/log.js";
import { resolve } from "../core/settings.js";
import { type RedisBrokerOptions, redisSettings } from "./options.js";
import { RedisBroker } from "./redis-broker.js";
import { linkOptions } from "./redis-url.js";
import { StandaloneLink } from "./standalone-link.js";

export type { RedisBrokerOptions };

/**
 * A broker on one Redis server (6.2 or newer), on asynq's keys: Go programs may work on the same queues. Lazy: the first
 * call connects and looks whether the server is fit.
 *
 * @example
 * const broker = redisBroker({ url: "redis://:secret@localhost:6379/2", timeout: "5s" });
 * @throws OPTION_INVALID
 */
export function redisBroker(options: RedisBrokerOptions = {}): Broker {
  const { log = consoleLogger, ...given } = options;
  const settled = resolve(redisSettings, given, "redisBroker");
  const address = linkOptions(settled, "redisBroker");
  return new RedisBroker(new StandaloneLink(address), address, { allowEviction: settled.allowEviction, log });
}
