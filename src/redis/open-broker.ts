import type { Broker } from "../broker/broker.js";
import type { OutageRecorder, OutageSource } from "../broker/outage.js";
import type { Spool } from "../broker/spool.js";
import { consoleLogger } from "../core/log.js";
import { resolve } from "../core/settings.js";
import { linkOptions } from "./link-options.js";
import { openLink } from "./open-link.js";
import { type RedisBrokerOptions, redisSettings } from "./options.js";
import { RedisBroker } from "./redis-broker.js";
import { checkNode } from "./server-check.js";

/**
 * With the spool that is made for it, and what records outages, if any.
 * @throws OPTION_INVALID, in terms of what the user called: `caller`
 */
export function openBroker(
  caller: "redisBroker" | "connect",
  options: RedisBrokerOptions,
  openSpool?: (broker: Broker) => Spool,
  openRecorder?: (source: OutageSource) => OutageRecorder,
): Broker {
  const { log = consoleLogger, ...given } = options;
  const settled = resolve(redisSettings, given, caller);
  const address = linkOptions(settled, caller);
  const check = { allowEviction: settled.allowEviction, log };
  const link = openLink(address, (node, how) => checkNode(node, check, true, how));
  return new RedisBroker(link, address, check, openSpool, openRecorder);
}
