import type { Broker } from "../broker/broker.js";
import { openBroker } from "./open-broker.js";
import type { RedisBrokerOptions } from "./options.js";

export type { RedisBrokerOptions };

/**
 * A broker on Redis (6.2 or newer), on asynq's keys: Go programs may work on the same queues. On one server, on a Cluster,
 * or on the master that Sentinels watch. Lazy: the first call connects and looks whether the server is fit.
 *
 * @example
 * redisBroker({ url: "redis://:secret@localhost:6379/2", timeout: "5s" });
 * redisBroker({ url: "redis-cluster://10.0.0.1:6379,10.0.0.2:6379", username: "worker", password: "secret" });
 * redisBroker({ url: "redis-sentinel://10.0.0.1,10.0.0.2,10.0.0.3/0?master=tasks", password: "the master's" });
 * @throws OPTION_INVALID
 */
export function redisBroker(options: RedisBrokerOptions = {}): Broker {
  return openBroker("redisBroker", options);
}
