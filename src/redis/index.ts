import type { Broker } from "../broker/broker.js";
import { consoleLogger, type Logger } from "../core/log.js";
import { type Given, resolve, setting } from "../core/settings.js";
import { linkOptions, linkSettings } from "./redis-url.js";
import { RedisBroker } from "./redis-broker.js";
import { StandaloneLink } from "./standalone-link.js";

export const redisSettings = {
  ...linkSettings,
  allowEviction: setting.flag({
    default: false,
    says: "take a server whose maxmemory-policy may delete tasks when its memory is full",
  }),
};

export interface RedisBrokerOptions extends Given<typeof redisSettings> {
  /** Default: warnings and errors to the console. */
  readonly log?: Logger;
}

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
