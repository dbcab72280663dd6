import type { Producing } from "../broker/broker.js";
import type { Hearing } from "../broker/spool.js";
import { Endpoint, type EndpointHealth } from "./endpoint.js";

/** By broker: whoever uses the same storage by the same broker shares what is known of it. */
const known = new WeakMap<Producing, Endpoints>();

/** What the spool has sent is not answered by then, and it is in doubt whether storage is there. */
const lateMs = 500;

/** The endpoints of a broker: one, or on a Cluster one for each node. All its clients hear by them, and its spool does. */
export class Endpoints implements Hearing {
  readonly #broker: Producing;
  readonly #byShard = new Map<string, Endpoint>();

  private constructor(broker: Producing) {
    this.#broker = broker;
    broker.spool?.tell?.(this);
  }

  static of(broker: Producing): Endpoints {
    let endpoints = known.get(broker);
    if (endpoints === undefined) known.set(broker, (endpoints = new Endpoints(broker)));
    return endpoints;
  }

  health(): EndpointHealth[] {
    if (this.#byShard.size === 0) return [{ broker: this.#broker.label, shard: "", state: "closed", reason: "" }];
    return [...this.#byShard.values()].map(({ health }) => health);
  }

  /** That of the storage which has the queue, as far as is known. */
  of(queue: string): Endpoint {
    const shard = this.#broker.shardOf?.(queue) ?? "";
    let endpoint = this.#byShard.get(shard);
    if (endpoint === undefined) this.#byShard.set(shard, (endpoint = this.#open(shard, queue)));
    return endpoint;
  }

  async call<T>(queue: string, tasks: number, work: () => Promise<T>): Promise<T> {
    const endpoint = this.of(queue);
    // A spool waits for seconds, and nobody else may be calling.
    const late = setTimeout(() => endpoint.doubt(), lateMs).unref();
    return endpoint.call(tasks, work).finally(() => clearTimeout(late));
  }

  doubt(queue: string): void {
    this.of(queue).doubt();
  }

  isDegraded(queue: string): boolean {
    return this.of(queue).degraded;
  }

  #open(shard: string, queue: string): Endpoint {
    const { label, spool, tally } = this.#broker;
    const probe = async (withinMs?: number) => {
      if (this.#broker.probe !== undefined) return this.#broker.probe(queue, withinMs);
      return this.#broker.ping(shard === "" ? undefined : queue);
    };
    return new Endpoint(label, shard, probe, (state, before) => {
      // Closed, or there again and not quite well: what waits in the spool can go.
      if (state === "closed" || (state === "degraded" && before === "halfOpen")) spool?.nudge();
      if (tally === undefined) return;
      if (state === "open" && before !== "halfOpen") tally.breakerOpened += 1;
      if (state === "degraded") tally.breakerDegraded += 1;
    });
  }
}
