import type {
  Assurance,
  Broker,
  Cancellation,
  EnqueueReceipt,
  KeeperOptions,
  LeaseKeeper,
  Progress,
  Promotion,
  ReclaimReceipt,
  TaskRef,
  Turn,
  TurnReply,
} from "../broker/broker.js";
import type { DeadLetterStore } from "../broker/dead-letters.js";
import type { EffectAnswer, EffectStep } from "../broker/effects.js";
import type { Incarnation } from "../broker/incarnation.js";
import { newTally, type OutageRecord, type OutageRecorder, type OutageSource } from "../broker/outage.js";
import type {
  Act,
  CancelReceipt,
  DropReceipt,
  MoveReceipt,
  MoveSelection,
  MoveTarget,
  PauseReceipt,
  Signal,
  Subscription,
  UpdateReceipt,
} from "../broker/roles.js";
import type { Spool } from "../broker/spool.js";
import type { Standstills } from "../broker/standstill.js";
import type { Clock } from "../core/clock.js";
import type {
  DayStats,
  Page,
  PageRequest,
  QueueInfo,
  Selection,
  StorageInfo,
  TaskInfo,
  WorkerInfo,
} from "../core/info.js";
import type { NewTask } from "../core/message.js";
import type { QueueList } from "../core/queue-list.js";
import { UnderWay } from "../core/under-way.js";
import type { WorkerList } from "../core/worker-list.js";
import { announce, type Foreigners, withdraw, workers, workersThere } from "./announce.js";
import { isUnreadable } from "./answers.js";
import { RedisAudit } from "./audit.js";
import { cancel, cancellations } from "./cancel.js";
import { ClusterSubscription } from "./cluster-subscription.js";
import { DataGuard } from "./data-guard.js";
import { RedisDeadLetters } from "./dead-letters/redis-dead-letters.js";
import { dropQueue } from "./drop-queue.js";
import { enqueue } from "./enqueue.js";
import { AssuredLines } from "./enqueue-assured.js";
import { exchange } from "./exchange.js";
import { Fitness } from "./fitness.js";
import { ForeignQueues } from "./foreign-queues.js";
import { pending } from "./gauge.js";
import { groups, history, memory, storage } from "./inspect.js";
import { RedisLeaseKeeper } from "./lease-keeper.js";
import type { RedisLink } from "./link.js";
import type { LinkOptions } from "./link-options.js";
import { list } from "./list.js";
import { find, queues } from "./look.js";
import { promote, prune, reclaim } from "./maintain.js";
import { openerOf } from "./open-link.js";
import { readOutages, writeOutages } from "./outages.js";
import { probe } from "./probe.js";
import { queuesThere } from "./queues-there.js";
import { remember } from "./remember.js";
import { report } from "./report.js";
import type { ServerCheck } from "./server-check.js";
import { promoteShared, pruneShared, reclaimShared } from "./share.js";
import { Spread } from "./spread.js";
import { RedisStandstills } from "./standstill.js";
import { move, type MoveOptions, setPaused } from "./steer.js";
import { RedisSubscription } from "./subscription.js";
import { updatePayload } from "./update-payload.js";

/** The contract on Redis. The verbs are in files of their own; here is what they have in common. */
export class RedisBroker implements Broker {
  readonly label: string;
  readonly spool: Spool | undefined;
  readonly standstills: Standstills;
  readonly deadLetters: DeadLetterStore;
  readonly audit = new RedisAudit((verb) => this.#run(verb));
  readonly #link: RedisLink;
  readonly #linkOptions: LinkOptions;
  readonly #check: ServerCheck;
  readonly tally = newTally();
  readonly #recorder: OutageRecorder | undefined;
  readonly #data: DataGuard;
  readonly #keepers = new Set<LeaseKeeper>();
  readonly #subscriptions = new Set<Subscription>();
  /** What the user may not do, of which people have been told. */
  readonly #forbidden = new Set<string>();
  readonly #foreigners: Foreigners = new Map();
  readonly #foreignQueues = new ForeignQueues();
  readonly #underWay: UnderWay;
  readonly #assured: AssuredLines;
  readonly #spread: Spread | undefined;
  readonly #fitness: Fitness;
  /** The look has ended well. */
  #fit = false;

  constructor(
    link: RedisLink,
    linkOptions: LinkOptions,
    check: ServerCheck,
    openSpool?: (broker: Broker) => Spool,
    openRecorder?: (source: OutageSource) => OutageRecorder,
  ) {
    this.label = link.label;
    this.#underWay = new UnderWay(link.label);
    this.#link = link;
    this.#linkOptions = linkOptions;
    this.#check = check;
    this.#fitness = new Fitness(link, check);
    this.#assured = new AssuredLines(link, linkOptions);
    // A turn that other nodes answer is answered; a node that has no part in it is away all the same.
    const failed = (error: unknown) => this.#recorder?.failed(error);
    this.#spread = link.oneSlotPerCall ? new Spread(link, linkOptions.timeoutMs, failed) : undefined;
    this.#data = new DataGuard(link, linkOptions, {
      log: check.log,
      allowEviction: check.allowEviction,
      tally: this.tally,
      recorder: () => this.#recorder,
      hasSpool: () => this.spool !== undefined,
      onForbidden: (problem) => this.#tellForbidden(problem, blindSays),
    });
    this.standstills = new RedisStandstills((verb) => this.#run(verb), linkOptions);
    this.deadLetters = new RedisDeadLetters((verb) => this.#run(verb));
    this.#recorder = openRecorder?.(this);
    this.spool = openSpool?.(this);
  }

  get clock(): Clock {
    return this.#link.clock;
  }

  async enqueue(
    tasks: readonly NewTask[],
    nowMs: number,
    withinMs = Number.POSITIVE_INFINITY,
  ): Promise<EnqueueReceipt[]> {
    const { timeoutMs } = this.#linkOptions;
    const untilMs = performance.now() + withinMs;
    const taskIds = tasks.map(({ message }) => message.id);
    for (const { message } of tasks) this.#data.used.fill(message.queue);
    const receipts = await this.#run(
      async (link) => {
        const leftMs = () => Math.min(timeoutMs, untilMs - performance.now());
        const kept = await this.#foreignQueues.kept(link, tasks, nowMs, leftMs());
        return enqueue(link, kept, nowMs, leftMs(), this.#data.known);
      },
      withinMs < timeoutMs && !this.#fit ? () => this.#readyWithin(withinMs, taskIds) : undefined,
    );
    this.tally.acknowledged += receipts.length;
    return receipts;
  }

  async enqueueAssured(
    tasks: readonly NewTask[],
    nowMs: number,
    withinMs: number,
    assurance: Assurance,
  ): Promise<EnqueueReceipt[]> {
    const untilMs = performance.now() + withinMs;
    const taskIds = tasks.map(({ message }) => message.id);
    for (const { message } of tasks) this.#data.used.fill(message.queue);
    const receipts = await this.#run(
      () => enqueue(this.#assured.producer(assurance), tasks, nowMs, untilMs - performance.now(), this.#data.known),
      this.#fit ? undefined : () => this.#readyWithin(withinMs, taskIds),
    );
    this.tally.acknowledged += receipts.length;
    return receipts;
  }

  async pending(queueNames: readonly string[], withinMs = Number.POSITIVE_INFINITY): Promise<number[]> {
    const timeoutMs = Math.min(this.#linkOptions.timeoutMs, withinMs);
    return this.#run(
      (link) => pending(link, queueNames, timeoutMs),
      this.#fit ? undefined : () => this.#readyWithin(timeoutMs, []),
    );
  }

  get trustAfterMs(): number {
    return this.#data.trustAfterMs;
  }

  async incarnations(queueNames: readonly string[], withinMs: number): Promise<(Incarnation | undefined)[]> {
    return this.#run(
      () => this.#data.incarnations(queueNames, withinMs),
      this.#fit ? undefined : () => this.#readyWithin(withinMs, []),
    );
  }

  async exchange(turn: Turn, nowMs: number): Promise<TurnReply> {
    for (const queue of turn.lease?.queues ?? []) this.#data.used.look(queue);
    const reply = await this.#run((link) => this.#spread?.exchange(turn, nowMs) ?? exchange(link, turn, nowMs));
    for (const { lease } of reply.leased) this.#data.used.fill(lease.queue);
    for (const receipt of reply.settled) {
      if (receipt === "settled") this.tally.settled += 1;
      else if (receipt === "leaseLost") this.tally.leaseLost += 1;
    }
    return reply;
  }

  async reclaim(queueNames: readonly string[], limit: number, nowMs: number): Promise<ReclaimReceipt[]> {
    return this.#run((link) => (link.oneSlotPerCall ? reclaimShared : reclaim)(link, queueNames, limit, nowMs));
  }

  async promote(queueNames: readonly string[], limit: number, nowMs: number): Promise<Promotion> {
    return this.#run((link) => (link.oneSlotPerCall ? promoteShared : promote)(link, queueNames, limit, nowMs));
  }

  async prune(queueNames: readonly string[], limit: number, nowMs: number): Promise<number> {
    return this.#run((link) => (link.oneSlotPerCall ? pruneShared : prune)(link, queueNames, limit, nowMs));
  }

  async queues(nowMs: number, names?: readonly string[]): Promise<QueueInfo[]> {
    return this.#run((link) => queues(link, nowMs, names));
  }

  async queuesThere(nowMs: number, names?: readonly string[]): Promise<QueueList> {
    return this.#run((link) => queuesThere(link, nowMs, names, (error) => this.#recorder?.failed(error)));
  }

  async find(refs: readonly TaskRef[]): Promise<(TaskInfo | undefined)[]> {
    return this.#run((link) => find(link, refs));
  }

  async list(selection: Selection, page: PageRequest): Promise<Page<TaskInfo>> {
    return this.#run((link) => list(link, selection, page));
  }

  async move(
    selection: MoveSelection,
    to: MoveTarget,
    by: Act,
    options: MoveOptions,
    nowMs: number,
  ): Promise<MoveReceipt> {
    return this.#run((link) => move(link, selection, to, by, options, nowMs));
  }

  async setPaused(queueNames: readonly string[], paused: boolean, by: Act, nowMs: number): Promise<PauseReceipt[]> {
    return this.#run((link) => setPaused(link, queueNames, paused, by, nowMs));
  }

  async updatePayload(task: TaskRef, payload: Uint8Array, by: Act, nowMs: number): Promise<UpdateReceipt> {
    return this.#run((link) => updatePayload(link, task, payload, by, nowMs));
  }

  async dropQueue(
    queue: string,
    options: { readonly force: boolean; readonly limit: number },
    by: Act,
    nowMs: number,
  ): Promise<DropReceipt> {
    this.#data.used.forget(queue);
    return this.#run((link) => dropQueue(link, queue, options, by, nowMs)).finally(() =>
      this.#data.known.forget(queue),
    );
  }

  async memory(queueNames: readonly string[]): Promise<number[]> {
    return this.#run((link) => memory(link, queueNames));
  }

  async history(queueNames: readonly string[], days: number, nowMs: number): Promise<DayStats[][]> {
    return this.#run((link) => history(link, queueNames, days, nowMs));
  }

  async groups(queue: string): Promise<{ name: string; count: number }[]> {
    return this.#run((link) => groups(link, queue));
  }

  async storage(): Promise<StorageInfo> {
    return this.#run(storage);
  }

  keeper(options: KeeperOptions): LeaseKeeper {
    this.#underWay.requireOpen();
    const keeper = new RedisLeaseKeeper(this.#linkOptions, options, () => this.#keepers.delete(keeper));
    this.#keepers.add(keeper);
    return keeper;
  }

  async report(progress: readonly Progress[]): Promise<void> {
    return this.#run((link) => report(link, progress));
  }

  async remember(steps: readonly EffectStep[]): Promise<EffectAnswer[]> {
    return this.#run((link) => remember(link, steps));
  }

  async cancel(tasks: readonly TaskRef[], how: Cancellation, by: Act, nowMs: number): Promise<CancelReceipt[]> {
    return this.#run((link) => cancel(link, tasks, how, by, nowMs));
  }

  async cancellations(tasks: readonly TaskRef[]): Promise<(Cancellation | undefined)[]> {
    return this.#run((link) => cancellations(link, tasks));
  }

  async announce(worker: WorkerInfo, ttlMs: number, nowMs: number): Promise<{ readonly shared: readonly string[] }> {
    return this.#run((link) => announce(link, worker, ttlMs, nowMs, this.#foreigners));
  }

  async withdraw(worker: WorkerInfo): Promise<void> {
    return this.#run((link) => withdraw(link, worker));
  }

  async workers(nowMs: number): Promise<WorkerInfo[]> {
    return this.#run((link) => workers(link, nowMs));
  }

  async workersThere(nowMs: number): Promise<WorkerList> {
    return this.#run((link) => workersThere(link, nowMs, (error) => this.#recorder?.failed(error)));
  }

  async subscribe(queueNames: readonly string[], listener: (signal: Signal) => void): Promise<Subscription> {
    const options = this.#linkOptions;
    const events = {
      onForbidden: (problem: string) => this.#tellForbidden(problem, slowSays),
      onClosed: () => this.#subscriptions.delete(subscription),
    };
    let subscription: ClusterSubscription | RedisSubscription;
    return this.#run(async (link) => {
      const { timeoutMs } = options;
      subscription =
        options.kind === "cluster"
          ? new ClusterSubscription(link, timeoutMs, queueNames, listener, events)
          : new RedisSubscription({ open: openerOf(options), timeoutMs }, link.clock, queueNames, listener, events);
      this.#subscriptions.add(subscription);
      await subscription.tried;
      return subscription;
    });
  }

  async writeOutages(records: readonly OutageRecord[], missing = false): Promise<void> {
    await writeOutages(this.#link, records, missing);
  }

  async readOutages(): Promise<OutageRecord[]> {
    return this.#run(readOutages);
  }

  shardOf(queue: string): string | undefined {
    return this.#link.shardOf(queue);
  }

  async ping(queue?: string): Promise<void> {
    return this.#run((link) => link.ping(queue));
  }

  async probe(queue: string, withinMs = Number.POSITIVE_INFINITY): Promise<void> {
    const timeoutMs = Math.min(this.#linkOptions.timeoutMs, withinMs);
    return this.#run(
      (link) => probe(link, queue, this.clock.nowMs(), timeoutMs),
      this.#fit ? undefined : () => this.#readyWithin(timeoutMs, []),
    );
  }

  async close(): Promise<void> {
    await this.spool?.close();
    await this.#data.rest();
    await this.#underWay.end();
    await Promise.all([...this.#keepers].map((keeper) => keeper.close()));
    await Promise.all([...this.#subscriptions].map((subscription) => subscription[Symbol.asyncDispose]()));
    await this.#data.close();
    this.#assured.close();
    await this.#recorder?.close();
    await this.#link.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What was asked before `close` is carried out, also when it still waits for the first connection. */
  async #run<T>(verb: (link: RedisLink) => Promise<T>, ready?: () => Promise<RedisLink>): Promise<T> {
    this.#data.called();
    return this.#underWay.run(async () => {
      try {
        const answer = await verb(await (ready?.() ?? this.#ready()));
        this.#recorder?.answered();
        return answer;
      } catch (error) {
        this.#recorder?.failed(error);
        if (isUnreadable(error)) {
          this.#link.distrust();
          this.#assured.distrust();
        }
        throw error;
      }
    });
  }

  #tellForbidden(problem: string, says: string): void {
    if (this.#forbidden.has(problem)) return;
    this.#forbidden.add(problem);
    this.#check.log.warn({ broker: this.label, problem }, says);
  }

  /** The link, once the server has been looked at; a look that failed is taken again with the next call. */
  async #ready(): Promise<RedisLink> {
    await this.#fitness.ready();
    if (!this.#fit) {
      this.#fit = true;
      this.#data.begin();
      // What an earlier process left waits for the spool to be opened, and storage can take it.
      this.spool?.nudge();
    }
    return this.#link;
  }

  /** The same for one who does not wait as long as the look may take: the link says in time why there is no way to it. */
  async #readyWithin(timeoutMs: number, taskIds: readonly string[]): Promise<RedisLink> {
    const reached = this.#link.run([{ name: "PING", args: [] }], { timeoutMs, taskIds });
    return Promise.race([this.#ready(), reached.then(() => this.#ready())]);
  }
}

const slowSays =
  "without this right of the Redis user, tasks and cancellations are found by looking, which takes longer";
const blindSays =
  "a node that is restarted, or another one in its place, cannot be told: only data that come back empty or older are noticed";
