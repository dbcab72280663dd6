import type { Act, PauseReceipt } from "../broker/roles.js";
import type { FailedOver, Replication, Standstill, Standstills } from "../broker/standstill.js";
import { floorToS } from "../core/duration.js";
import { invalidOption } from "../core/errors.js";
import { append } from "./audit.js";
import { listOf, throwProblems, totalOf } from "./answers.js";
import { failOver } from "./fail-over.js";
import { keysOf, standstillKey } from "./keys.js";
import { LinkError, type RedisLink, type Reply } from "./link.js";
import type { LinkOptions } from "./link-options.js";
import { existing } from "./look.js";
import { standstill as standstillCall } from "./scripts.gen.js";
import { infoOf } from "./server-check.js";
import { hostAndPort } from "./redis-url.js";
import { replicationOf } from "./replication.js";

type Run = <T>(verb: (link: RedisLink) => Promise<T>) => Promise<T>;

/** Queues that take nothing and give nothing while somebody works on Redis. */
export class RedisStandstills implements Standstills {
  readonly #run: Run;
  readonly #options: LinkOptions;

  constructor(run: Run, options: LinkOptions) {
    this.#run = run;
    this.#options = options;
  }

  /** Two trips, as with a pause. */
  async set(queues: readonly string[], untilMs: number | undefined, by: Act, nowMs: number): Promise<PauseReceipt[]> {
    const head = {
      nowS: floorToS(nowMs),
      nowMs,
      untilMs: untilMs ?? 0,
      actor: by.actor,
      reason: by.reason,
      request: by.requestId,
    };
    return this.#run(async (link) => {
      const there = await existing(link, queues);
      const replies = await link.run(there.map((queue) => standstillCall([keysOf(queue)], head)));
      const answers = replies.map((reply) => listOf(link.label, reply)[0]!);
      throwProblems(link.label, answers.filter((answer) => Buffer.isBuffer(answer)).map(String));
      return queues.map((queue) => {
        return !there.includes(queue) ? "notFound" : answers.shift() === 1 ? "changed" : "unchanged";
      });
    });
  }

  async of(queues: readonly string[], nowMs: number): Promise<(Standstill | undefined)[]> {
    return this.#run(async (link) => {
      const replies = await link.run(queues.map((queue) => ({ name: "GET", args: [standstillKey(queue)] })));
      return replies.map((reply) => standstillIn(link, reply, nowMs));
    });
  }

  async replication(): Promise<Replication[]> {
    return this.#run(async (link) => {
      const nodes = await link.nodes();
      const replies = await Promise.all(nodes.map((node) => node.run([{ name: "INFO", args: ["replication"] }])));
      return nodes.map(({ address }, n) => replicationOf(hostAndPort(address), infoOf(replies[n]![0], link)));
    });
  }

  async failOver(withinMs: number, by: Act, nowMs: number): Promise<FailedOver> {
    const options = this.#options;
    if (options.kind === "sentinel") {
      await this.#run((link) => append(link, [{ ...by, verb: "fail over", what: "", count: 0 }], nowMs));
      return failOver(options, withinMs);
    }
    const type =
      options.kind === "cluster"
        ? "CLUSTER FAILOVER on a replica of each shard that is to change: it waits for equal offsets by itself"
        : "FAILOVER on the master, which waits for equal offsets by itself, and lead your clients to the new one";
    throw invalidOption("failOver", `is for a master behind Sentinels (redis-sentinel://); here type ${type}`);
  }
}

function standstillIn(link: RedisLink, reply: Reply, nowMs: number): Standstill | undefined {
  if (reply instanceof LinkError && reply.code !== "WRONGTYPE") throw reply.toError(link.label);
  const [untilMs = 0, sinceMs = 0, actor = "", reason = ""] = Buffer.isBuffer(reply) ? String(reply).split("\t") : [];
  if (!(Number(untilMs) > nowMs)) return undefined;
  return { sinceMs: totalOf(sinceMs), untilMs: Number(untilMs), actor, reason };
}
