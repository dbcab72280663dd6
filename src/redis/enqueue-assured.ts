import type { Assurance } from "../broker/broker.js";
import { HoldfastError } from "../core/errors.js";
import { groupedBy } from "../core/grouped-by.js";
import { AssuredLine } from "./assured-line.js";
import type { Producer } from "./enqueue.js";
import { barrierKey } from "./keys.js";
import { LinkError, type RedisLink, type Reply, type RunOptions, type ScriptCall } from "./link.js";
import type { LinkOptions } from "./link-options.js";
import { openConnection } from "./open-connection.js";
import { openerOf } from "./open-link.js";

/** The ways on which writes are confirmed: one for each server and what is to be confirmed. */
export class AssuredLines {
  readonly #link: RedisLink;
  readonly #options: LinkOptions;
  readonly #lines = new Map<string, AssuredLine>();
  /** Those whose server has been looked at. */
  readonly #seen = new Set<AssuredLine>();

  constructor(link: RedisLink, options: LinkOptions) {
    this.#link = link;
    this.#options = options;
  }

  /** In place of the link, for `enqueue`: an answered script is a confirmed one. */
  producer(assurance: Assurance): Producer {
    const { label, oneSlotPerCall } = this.#link;
    return {
      label,
      oneSlotPerCall,
      run: (calls, options) => {
        const scripts = calls.filter((call): call is ScriptCall => "script" in call);
        // The rest is bookkeeping, and lost without harm.
        return scripts.length < calls.length
          ? this.#link.run(calls, options)
          : this.#run(scripts, assurance, options?.timeoutMs ?? this.#options.timeoutMs, options?.taskIds ?? []);
      },
    };
  }

  /** See RedisLink. */
  distrust(): void {
    for (const line of this.#lines.values()) line.distrust();
  }

  close(): void {
    for (const line of this.#lines.values()) line.end();
  }

  async #run(
    calls: readonly ScriptCall[],
    assurance: Assurance,
    timeoutMs: number,
    taskIds: readonly string[],
  ): Promise<Reply[]> {
    const untilMs = performance.now() + timeoutMs;
    const queues = calls.map(({ keys }) => queueOf(keys[0]!));
    const lines = await this.#linesOf(queues, assurance);
    const replies: Reply[] = [];
    const parts = groupedBy(lines.keys(), (n) => lines[n]!);
    const errors: unknown[] = [];
    await Promise.all(
      [...parts].map(async ([line, places]) => {
        const barriers = new Set(places.map((n) => barrierKey(queues[n]!)));
        const part = places.map((n) => calls[n]!);
        const options = () => ({ timeoutMs: untilMs - performance.now(), taskIds });
        try {
          if (!this.#seen.has(line)) await this.#look(queues[places[0]!]!, options());
          this.#seen.add(line);
          const answers = await line.run(part, [...barriers], assurance.replicas, options());
          for (const [k, n] of places.entries()) replies[n] = answers[k]!;
        } catch (error) {
          errors.push(error);
        }
        // On a Cluster the queue may be elsewhere by now: the link finds out, for the next try.
        const failed = places.some((n) => replies[n] === undefined || replies[n] instanceof LinkError);
        if (failed && this.#link.oneSlotPerCall) void this.#link.ping(queues[places[0]!]).catch(() => undefined);
      }),
    );
    if (errors.length > 0) throw errors.find((error) => HoldfastError.is(error, "BROKER_INCOMPATIBLE")) ?? errors[0];
    return replies;
  }

  /** The link looks at a node of a Cluster before anything is written there; a line does not. */
  async #look(queue: string, options: RunOptions): Promise<void> {
    if (this.#link.oneSlotPerCall) await this.#link.run([{ name: "EXISTS", args: [barrierKey(queue)] }], options);
  }

  async #linesOf(queues: readonly string[], { of }: Assurance): Promise<AssuredLine[]> {
    const options = this.#options;
    const { label, timeoutMs } = options;
    if (options.kind !== "cluster") {
      const line = this.#line(of, () => new AssuredLine(label, of, openerOf(options), timeoutMs));
      return queues.map(() => line);
    }
    const nodes = await this.#link.nodesOf(queues);
    return nodes.map(({ address }) =>
      this.#line(`${of} ${address.label}`, () => {
        return new AssuredLine(label, of, (...how) => openConnection(address, ...how), timeoutMs);
      }),
    );
  }

  #line(key: string, make: () => AssuredLine): AssuredLine {
    const known = this.#lines.get(key);
    if (known !== undefined) return known;
    const line = make();
    this.#lines.set(key, line);
    return line;
  }
}

/** The queue whose key this is. */
const queueOf = (key: string) => key.slice(key.indexOf("{") + 1, key.indexOf("}:"));
