import { setTimeout as sleep } from "node:timers/promises";
import { DisciplinedClock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import type { Unconnected } from "./connection.js";
import { inTime, within } from "../core/expiry.js";
import { keysOf, pausedKey } from "./keys.js";
import {
  type Command,
  LinkError,
  type RedisLink,
  type RedisNode,
  type Reply,
  type RunOptions,
  type ScriptCall,
} from "./link.js";
import { openConnection } from "./open-connection.js";
import { hostAndPort, type RedisAddress } from "./redis-url.js";
import {
  homeSlot,
  type NodeName,
  placeOf,
  redirection,
  type SlotMap,
  slotMapFrom,
  slotOf,
  slotOfCall,
} from "./slots.js";
import { StandaloneLink } from "./standalone-link.js";
import { UnderWay } from "../core/under-way.js";

type Call = ScriptCall | Command;

/** How often one call is sent on to another node. */
const maxHops = 5;
/** Nodes that are asked for the map at once, and how long each may take. */
const askedAtOnce = 3;
const mapTimeoutMs = 500;
/** A call is sent where the server says at once; the map is read anew at most this often for that. */
const mapEveryMs = 1_000;
const againMs = 50;
/** How often the node whose clock all go by is asked, by links in use. */
const readTimeEveryMs = 10_000;

/** One `run` on its way. */
interface Job {
  readonly calls: readonly Call[];
  readonly untilMs: number;
  readonly insist: boolean;
  readonly replies: Reply[];
  /** By call: its node gave no answer. */
  readonly lost: Map<number, Unconnected>;
}

interface Node {
  readonly address: RedisAddress;
  readonly link: StandaloneLink;
  /** It has been looked at. */
  fit: boolean;
  /** Shared by all who send to it at the same time, and wait for nobody who is away. */
  looking: Promise<void> | undefined;
}

/** Whether a node can hold tasks. @throws BROKER_INCOMPATIBLE BROKER_UNAVAILABLE */
export type NodeLook = (node: StandaloneLink, options: RunOptions) => Promise<void>;

/**
 * The link to a Cluster: a connection of our own to each master, each call to the node that has its slot, all nodes at
 * the same time. A node that is away fails its own calls alone.
 *
 * Time: what scripts decide by is one clock for all queues, so all processes follow the same node, the one with the
 * version key, however much the nodes' clocks differ. Deadlines are kept by the node that runs the script, so each is
 * counted on that node's own clock.
 */
export class ClusterLink implements RedisLink {
  readonly label: string;
  readonly clock = new DisciplinedClock();
  readonly oneSlotPerCall = true;
  readonly #seeds: readonly RedisAddress[];
  readonly #timeoutMs: number;
  readonly #nodes = new Map<NodeName, Node>();
  readonly #underWay: UnderWay;
  #map: (NodeName | undefined)[] | undefined;
  #mapReadMs = Number.NEGATIVE_INFINITY;
  /** Shared by all who wait for the map. */
  #reading: Promise<Unconnected | undefined> | undefined;
  #timeReadMs = Number.NEGATIVE_INFINITY;
  readonly #look: NodeLook | undefined;
  #connected = () => {};

  /** Connects with the first call. `look`: before anything is written to a node, whenever that is. */
  constructor(
    options: {
      readonly label: string;
      readonly timeoutMs: number;
      readonly seeds: readonly RedisAddress[];
    },
    look?: NodeLook,
  ) {
    this.#look = look;
    this.label = options.label;
    this.#underWay = new UnderWay(options.label);
    this.#timeoutMs = options.timeoutMs;
    this.#seeds = options.seeds;
  }

  async run(calls: readonly Call[], options: RunOptions = {}): Promise<Reply[]> {
    return calls.length === 0 && !this.#underWay.closed ? [] : this.#underWay.run(() => this.#run(calls, options));
  }

  async nodes(): Promise<readonly RedisNode[]> {
    const map = await this.#presentMap();
    const names = [...new Set(map.filter((name) => name !== undefined))];
    return names.map((name) => ({ ...this.#alone(name), firstSlot: map.indexOf(name) }));
  }

  async nodesOf(queues: readonly string[]): Promise<readonly RedisNode[]> {
    const slots = queues.map((queue) => slotOf(keysOf(queue).asynq));
    const map = await this.#presentMap(slots);
    return queues.map((queue, n) => {
      const name = map[slots[n]!];
      if (name === undefined) throw this.#notSent(`no node has the slot of queue "${queue}"`);
      return this.#alone(name);
    });
  }

  shardOf(queue: string): NodeName | undefined {
    return this.#map?.[slotOf(keysOf(queue).asynq)];
  }

  /** Of any node, or of the queue's: that one is asked for a key, so that it is looked for anew. */
  async ping(queue?: string): Promise<void> {
    if (queue === undefined && (await this.#someoneAnswers())) return;
    const call = queue === undefined ? { name: "PING", args: [] } : { name: "EXISTS", args: [pausedKey(queue)] };
    const [reply] = await this.run([call]);
    if (reply instanceof LinkError && reply.code !== "NOPERM") throw reply.toError(this.label);
  }

  onConnected(listener: () => void): void {
    this.#connected = listener;
  }

  distrust(): void {
    for (const { link } of this.#nodes.values()) link.distrust();
  }

  async close(): Promise<void> {
    await this.#underWay.end();
    await this.#reading;
    await Promise.all([...this.#nodes.values()].map(({ link }) => link.close()));
  }

  #presentMap(slots: readonly number[] = []): Promise<SlotMap> {
    return this.#underWay.run(async () => {
      const map = await this.#mapBefore(performance.now() + this.#timeoutMs, true, slots);
      if (map instanceof HoldfastError) throw map;
      return map;
    });
  }

  #alone(name: NodeName): RedisNode {
    const { address } = this.#node(name);
    const run: RedisNode["run"] = (calls, options = {}) =>
      this.#underWay.run(() =>
        this.#send(name, calls, options).catch((error: unknown) => {
          throw this.#unanswered(name, error);
        }),
      );
    return { address, run };
  }

  async #someoneAnswers(): Promise<boolean> {
    const nodes = await this.nodes();
    const pings = nodes.map(async (node) => {
      const [reply] = await node.run([{ name: "PING", args: [] }], { insist: false });
      if (reply instanceof LinkError && reply.code !== "NOPERM") throw reply.toError(this.label);
    });
    return Promise.any(pings).then(
      () => true,
      () => false,
    );
  }

  /** What goes to a node goes there after the look at it: nothing is written to one that may lose it. */
  #send(name: NodeName, calls: readonly Call[], options: RunOptions, asking = false): Promise<Reply[]> {
    const { link, fit } = this.#node(name);
    if (!fit && this.#look !== undefined) return this.#lookAndSend(this.#look, name, calls, options, asking);
    return asking ? link.runAsking(calls, options) : link.run(calls, options);
  }

  async #lookAndSend(
    look: NodeLook,
    name: NodeName,
    calls: readonly Call[],
    options: RunOptions,
    asking: boolean,
  ): Promise<Reply[]> {
    const { timeoutMs = this.#timeoutMs } = options;
    const untilMs = performance.now() + timeoutMs;
    const node = this.#node(name);
    const shared = () =>
      (node.looking ??= look(node.link, { insist: false }).finally(() => {
        node.looking = undefined;
      }));
    try {
      if (options.insist === false) await inTime(shared(), timeoutMs, () => this.#notSent("no look at it in time"));
      else await look(node.link, { ...options, timeoutMs });
    } catch (error) {
      // Whatever became of the look: the calls themselves were not sent.
      if (HoldfastError.is(error, "BROKER_UNAVAILABLE")) throw this.#notSent(error.data.problem);
      // It is this node's trouble alone: to those who use its queues it is as one that takes no writes.
      if (HoldfastError.is(error, "BROKER_INCOMPATIBLE")) throw this.#notSent(error.data.problem, "refused", error);
      throw error;
    }
    node.fit = true;
    return this.#send(name, calls, { ...options, timeoutMs: untilMs - performance.now() }, asking);
  }

  async #run(
    calls: readonly Call[],
    { taskIds = [], timeoutMs = this.#timeoutMs, insist = true }: RunOptions,
  ): Promise<Reply[]> {
    const untilMs = performance.now() + timeoutMs;
    const job: Job = { calls, untilMs, insist, replies: [], lost: new Map() };
    await this.#deliver(job, [...calls.keys()], 0);
    if (job.lost.size === calls.length) throw this.#concerning(taskIds, gravest([...job.lost.values()]));
    return job.replies;
  }

  /** To their nodes, by the map. */
  async #deliver(job: Job, which: readonly number[], hops: number): Promise<void> {
    const slots = which.map((i) => slotOfCall(job.calls[i]!));
    const map = await this.#mapBefore(job.untilMs, job.insist, slots);
    if (map instanceof HoldfastError) {
      for (const i of which) this.#lose(job, i, map);
      return;
    }
    this.#readTime(map);
    const parts = new Map<NodeName, number[]>();
    for (const [n, i] of which.entries()) {
      const slot = slots[n]!;
      const name = map[slot];
      if (name === undefined) {
        job.replies[i] = new LinkError("refused", "CLUSTERDOWN", `CLUSTERDOWN no node has slot ${slot}`);
        continue;
      }
      const part = parts.get(name);
      if (part === undefined) parts.set(name, [i]);
      else part.push(i);
    }
    await Promise.all([...parts].map(([name, part]) => this.#deliverTo(name, job, part, hops, false)));
  }

  async #deliverTo(name: NodeName, job: Job, which: readonly number[], hops: number, asking: boolean): Promise<void> {
    const calls = which.map((i) => job.calls[i]!);
    const options = { timeoutMs: job.untilMs - performance.now(), insist: false };
    const answers = await this.#send(name, calls, options, asking).catch((error: unknown) =>
      this.#unanswered(name, error),
    );
    if (answers instanceof HoldfastError) {
      await this.#miss(job, which, hops, answers);
      return;
    }
    const moved: number[] = [];
    const asked = new Map<NodeName, number[]>();
    for (const [n, i] of which.entries()) {
      const reply = answers[n]!;
      job.replies[i] = reply;
      job.lost.delete(i);
      const elsewhere = redirection(reply, name);
      if (reply instanceof LinkError && (reply.code === "CLUSTERDOWN" || reply.outcome === "unknown")) this.#refresh();
      if (elsewhere === undefined || hops >= maxHops) continue;
      if (elsewhere.kind === "MOVED") {
        if (this.#map !== undefined) this.#map[elsewhere.slot] = elsewhere.to;
        this.#refresh();
        moved.push(i);
      } else {
        asked.set(elsewhere.to, [...(asked.get(elsewhere.to) ?? []), i]);
      }
    }
    await Promise.all([
      moved.length > 0 ? this.#deliver(job, moved, hops + 1) : undefined,
      ...[...asked].map(([to, part]) => this.#deliverTo(to, job, part, hops + 1, true)),
    ]);
  }

  /** A node gave no answer. What was not sent may go to whoever has its slots by now. */
  async #miss(job: Job, which: readonly number[], hops: number, error: Unconnected): Promise<void> {
    for (const i of which) this.#lose(job, i, error);
    const notSent = HoldfastError.is(error, "BROKER_UNAVAILABLE") && error.data.outcome === "notSent";
    if (!notSent || !job.insist) {
      this.#refresh();
      return;
    }
    await this.#read(job.untilMs);
    const leftMs = job.untilMs - performance.now();
    if (leftMs <= 0) return;
    await sleep(Math.min(leftMs, againMs * (0.5 + Math.random())));
    if (performance.now() < job.untilMs) await this.#deliver(job, which, hops);
  }

  #lose(job: Job, i: number, error: Unconnected): void {
    job.lost.set(i, error);
    const unknown = HoldfastError.is(error, "BROKER_UNAVAILABLE") && error.data.outcome === "unknown";
    job.replies[i] = new LinkError(unknown ? "unknown" : "refused", "", error.data.problem);
  }

  #node(name: NodeName): Node {
    const known = this.#nodes.get(name);
    if (known !== undefined) return known;
    const seed = this.#seeds[0]!;
    const address = { ...seed, ...placeOf(name), label: `${seed.tls === undefined ? "redis" : "rediss"}://${name}` };
    const clock = new NodeClock((referenceMs, roundTripMs) => {
      if (this.#map?.[homeSlot] === name) this.clock.observe(referenceMs, roundTripMs);
    });
    const options = { label: address.label, timeoutMs: this.#timeoutMs };
    const link = new StandaloneLink(options, (...how) => openConnection(address, ...how), clock);
    link.onConnected(() => this.#connected());
    const node = { address, link, fit: false, looking: undefined };
    this.#nodes.set(name, node);
    return node;
  }

  /** Queues may all be on other nodes than the one whose clock we go by. */
  #readTime(map: SlotMap): void {
    const home = map[homeSlot];
    if (home === undefined || performance.now() < this.#timeReadMs + readTimeEveryMs) return;
    this.#timeReadMs = performance.now();
    void this.#node(home)
      .link.run([{ name: "PING", args: [] }], { insist: false })
      .catch(() => undefined); // Whoever needs that node hears of it.
  }

  /** The map that there is, or the first. Where nobody has one of these slots it is read anew: somebody may have it by now. */
  async #mapBefore(untilMs: number, insist: boolean, slots: readonly number[]): Promise<SlotMap | Unconnected> {
    let trouble: Unconnected | undefined;
    while (this.#map === undefined && performance.now() < untilMs) {
      trouble = (await this.#read(untilMs)) ?? trouble;
      if (trouble !== undefined && (!insist || HoldfastError.is(trouble, "BROKER_INCOMPATIBLE"))) break;
      if (this.#map === undefined) await sleep(Math.max(0, Math.min(againMs, untilMs - performance.now())));
    }
    // No node is asked for such a slot, so none tells that the map is old.
    if (slots.some((slot) => this.#map !== undefined && this.#map[slot] === undefined)) {
      this.#refresh();
      if (this.#reading !== undefined) await this.#read(untilMs);
    }
    return this.#map ?? trouble ?? this.#notSent("no node told the Cluster's slots in time");
  }

  /** Read the map anew, without anyone waiting for it. */
  #refresh(): void {
    if (performance.now() > this.#mapReadMs + mapEveryMs) void this.#read(Number.POSITIVE_INFINITY);
  }

  #read(untilMs: number): Promise<Unconnected | undefined> {
    this.#reading ??= this.#readMap().finally(() => {
      this.#reading = undefined;
    });
    return Number.isFinite(untilMs) ? within(this.#reading, untilMs - performance.now()) : this.#reading;
  }

  /** From any node that answers; never rejects. */
  async #readMap(): Promise<Unconnected | undefined> {
    this.#mapReadMs = performance.now();
    const seeds = this.#seeds.map(hostAndPort);
    const names = [...new Set([...shuffled([...this.#nodes.keys()]), ...shuffled(seeds)])];
    const troubles: Unconnected[] = [];
    for (let n = 0; n < names.length && !this.#underWay.closed; n += askedAtOnce) {
      try {
        this.#take(await Promise.any(names.slice(n, n + askedAtOnce).map((name) => this.#mapOf(name))));
        return undefined;
      } catch (error) {
        troubles.push(...((error as AggregateError).errors as Unconnected[]));
      }
    }
    return troubles.find((error) => HoldfastError.is(error, "BROKER_INCOMPATIBLE")) ?? troubles[0];
  }

  /** @throws Unconnected, so that the first who has it wins */
  async #mapOf(name: NodeName): Promise<SlotMap> {
    const { link } = this.#node(name);
    const options = { timeoutMs: Math.min(mapTimeoutMs, this.#timeoutMs), insist: false };
    const [reply] = await link.run([{ name: "CLUSTER", args: ["SLOTS"] }], options).catch((error: unknown) => {
      throw this.#unanswered(name, error);
    });
    const map = slotMapFrom(reply, name);
    if (map !== undefined) return map;
    if (reply instanceof LinkError && /cluster support disabled/i.test(reply.problem)) {
      const problem = `${name} is not a node of a Redis Cluster: write redis:// in the URL`;
      throw new HoldfastError("BROKER_INCOMPATIBLE", { broker: this.label, problem });
    }
    throw this.#notSent(`${name}: ${reply instanceof LinkError ? reply.problem : "it knows no slots yet"}`);
  }

  #take(map: SlotMap): void {
    this.#map = [...map];
    const named = new Set([...map, ...this.#seeds.map(hostAndPort)]);
    for (const [name, { link }] of this.#nodes) {
      if (named.has(name)) continue;
      this.#nodes.delete(name);
      void link.close();
    }
  }

  #notSent(problem: string, outcome: "notSent" | "refused" = "notSent", cause?: Error): Unconnected {
    const data = { broker: this.label, problem, outcome, taskIds: [] };
    return new HoldfastError("BROKER_UNAVAILABLE", data, cause === undefined ? {} : { cause });
  }

  /** A node's error as the Cluster's; it says which node. */
  #unanswered(name: NodeName, error: unknown): Unconnected {
    // A node that has just left the Cluster.
    if (HoldfastError.is(error, "CLOSED")) return this.#notSent(`${name} is no node of the Cluster any more`);
    if (!HoldfastError.is(error, "BROKER_UNAVAILABLE") && !HoldfastError.is(error, "BROKER_INCOMPATIBLE")) throw error;
    const problem = error.data.problem.includes(name) ? error.data.problem : `${name}: ${error.data.problem}`;
    const options = error.cause === undefined ? {} : { cause: error.cause };
    return "outcome" in error.data
      ? new HoldfastError("BROKER_UNAVAILABLE", { ...error.data, broker: this.label, problem }, options)
      : new HoldfastError("BROKER_INCOMPATIBLE", { broker: this.label, problem }, options);
  }

  #concerning(taskIds: readonly string[], error: Unconnected): Unconnected {
    if (!HoldfastError.is(error, "BROKER_UNAVAILABLE")) return error;
    const options = error.cause === undefined ? {} : { cause: error.cause };
    return new HoldfastError("BROKER_UNAVAILABLE", { ...error.data, taskIds }, options);
  }
}

/** The one that leaves most open; then the one that only other options can mend. */
function gravest(errors: readonly Unconnected[]): Unconnected {
  const hopeless = errors.find((error) => HoldfastError.is(error, "BROKER_INCOMPATIBLE"));
  const unsure = errors.find(
    (error) => HoldfastError.is(error, "BROKER_UNAVAILABLE") && error.data.outcome === "unknown",
  );
  return unsure ?? hopeless ?? errors[0]!;
}

function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map((value) => ({ value, by: Math.random() }))
    .toSorted((a, b) => a.by - b.by)
    .map(({ value }) => value);
}

/** A node's clock, for deadlines, which tells its readings. */
class NodeClock extends DisciplinedClock {
  readonly #tell: (referenceMs: number, roundTripMs: number) => void;

  constructor(tell: (referenceMs: number, roundTripMs: number) => void) {
    super();
    this.#tell = tell;
  }

  override observe(referenceMs: number, roundTripMs: number): void {
    super.observe(referenceMs, roundTripMs);
    this.#tell(referenceMs, roundTripMs);
  }
}
