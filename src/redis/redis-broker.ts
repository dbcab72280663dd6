import type {
  Broker,
  EnqueueReceipt,
  KeeperOptions,
  LeaseKeeper,
  Promotion,
  ReclaimReceipt,
  TaskRef,
  Turn,
  TurnReply,
} from "../broker/broker.js";
import type { Clock } from "../core/clock.js";
import type { Page, QueueInfo, Selection, TaskInfo } from "../core/info.js";
import type { NewTask } from "../core/message.js";
import { enqueue } from "./enqueue.js";
import { exchange } from "./exchange.js";
import { RedisLeaseKeeper } from "./lease-keeper.js";
import type { RedisLink } from "./link.js";
import { list } from "./list.js";
import { find, queues } from "./look.js";
import { promote, prune, reclaim } from "./maintain.js";
import type { LinkOptions } from "./redis-url.js";
import { checkServer, type ServerCheck } from "./server-check.js";

/** The contract on one Redis server. The verbs are in files of their own; here is what they have in common. */
export class RedisBroker implements Broker {
  readonly label: string;
  readonly #link: RedisLink;
  readonly #linkOptions: LinkOptions;
  readonly #check: ServerCheck;
  readonly #keepers = new Set<LeaseKeeper>();
  #checked: Promise<void> | undefined;

  constructor(link: RedisLink, linkOptions: LinkOptions, check: ServerCheck) {
    this.label = link.label;
    this.#link = link;
    this.#linkOptions = linkOptions;
    this.#check = check;
  }

  get clock(): Clock {
    return this.#link.clock;
  }

  async enqueue(tasks: readonly NewTask[], nowMs: number): Promise<EnqueueReceipt[]> {
    return enqueue(await this.#ready(), tasks, nowMs);
  }

  async exchange(turn: Turn, nowMs: number): Promise<TurnReply> {
    return exchange(await this.#ready(), turn, nowMs);
  }

  async reclaim(queueNames: readonly string[], limit: number, nowMs: number): Promise<ReclaimReceipt[]> {
    return reclaim(await this.#ready(), queueNames, limit, nowMs);
  }

  async promote(queueNames: readonly string[], limit: number, nowMs: number): Promise<Promotion> {
    return promote(await this.#ready(), queueNames, limit, nowMs);
  }

  async prune(queueNames: readonly string[], limit: number, nowMs: number): Promise<number> {
    return prune(await this.#ready(), queueNames, limit, nowMs);
  }

  async queues(nowMs: number): Promise<QueueInfo[]> {
    return queues(await this.#ready(), nowMs);
  }

  async find(refs: readonly TaskRef[]): Promise<(TaskInfo | undefined)[]> {
    return find(await this.#ready(), refs);
  }

  async list(selection: Selection, page: { readonly limit: number; readonly after?: string }): Promise<Page<TaskInfo>> {
    return list(await this.#ready(), selection, page);
  }

  keeper(options: KeeperOptions): LeaseKeeper {
    const keeper = new RedisLeaseKeeper(this.#linkOptions, options, () => this.#keepers.delete(keeper));
    this.#keepers.add(keeper);
    return keeper;
  }

  async ping(): Promise<void> {
    await this.#ready();
    await this.#link.ping();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#keepers].map((keeper) => keeper.close()));
    await this.#link.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The link, once the server has been looked at; a look that failed is taken again with the next call. */
  async #ready(): Promise<RedisLink> {
    this.#checked ??= checkServer(this.#link, this.#check).catch((error: unknown) => {
      this.#checked = undefined;
      throw error;
    });
    await this.#checked;
    return this.#link;
  }
}
