import { HoldfastError } from "../core/errors.js";
import { type DataMarks, type Mark, markFrom } from "./data-marks.js";
import { keysOf, nodeDataKey, pendingKey } from "./keys.js";
import { LinkError, type RedisLink, type RedisNode, type Reply, type RunOptions } from "./link.js";
import { aloneAfterMs, Replicas, usualReplTimeoutMs } from "./replicas.js";
import { Saves } from "./saves.js";
import { isForbidden } from "./server-error.js";
import { askedNow, type Found, lookCalls, type ServerLook, serverLook, valueOf } from "./server-look.js";
import { slotOf, tagOf } from "./slots.js";

/** Redis's own default. */
const usualNodeTimeoutMs = 15_000;

interface Owner {
  readonly node: string;
  readonly epoch: string;
  readonly flags: readonly string[];
  readonly slots: readonly (readonly [first: number, last: number])[];
}

/** The Cluster as one of its masters sees it. */
interface View {
  readonly self: string;
  /** It has replicas, be they well or not. */
  readonly hasReplicas: boolean;
  readonly owners: readonly Owner[];
}

/** Tells who owns each queue's slot, as a majority of the masters says, and which server that is. */
export class ClusterLooks {
  readonly #link: RedisLink;
  readonly #marks: DataMarks;
  readonly #before = { saves: new Saves(), replicas: new Replicas(() => this.aloneAfterMs) };
  readonly #onForbidden: (problem: string) => void;
  /** Each master's own, by its address: nobody sees to it that they are the same. */
  readonly #nodeTimeoutsMs = new Map<string, number>();
  readonly #replTimeoutsMs = new Map<string, number>();

  constructor(link: RedisLink, marks: DataMarks, onForbidden: (problem: string) => void) {
    this.#link = link;
    this.#marks = marks;
    this.#onForbidden = onForbidden;
  }

  /** How long at most a master is silent before the others take it for dead. */
  get nodeTimeoutMs(): number {
    return longest(this.#nodeTimeoutsMs, usualNodeTimeoutMs);
  }

  /** How long a replica is to be reckoned with that does not follow. */
  get aloneAfterMs(): number {
    return aloneAfterMs(this.nodeTimeoutMs, longest(this.#replTimeoutsMs, usualReplTimeoutMs));
  }

  /** Where each master has its mark, by the link's own map. @throws BROKER_UNAVAILABLE */
  async markKeys(): Promise<string[]> {
    return (await this.#link.nodes()).map(({ firstSlot = 0 }) => nodeDataKey(tagOf(firstSlot)));
  }

  /**
   * For each queue, and all masters that could be looked at.
   * @throws BROKER_INCOMPATIBLE where they do not tell who they are, or who owns which slots
   */
  async of(
    queues: readonly string[],
    settings: boolean,
    options: RunOptions,
  ): Promise<{ readonly found: (Found | undefined)[]; readonly servers: readonly ServerLook[] }> {
    const nodes = await this.#link.nodes();
    this.#forgetOthers(nodes);
    const looks = (await Promise.all(nodes.map((node) => this.#look(node, settings, options)))).filter(
      (look) => look !== undefined,
    );
    const servers = new Map(looks.map(({ view, server }) => [view.self, server]));
    const views = looks.map(({ view }) => view).filter(({ self, owners }) => owners.some(({ node }) => node === self));
    // One that was cut off may not know of all the others.
    const majority = Math.floor(Math.max(0, ...views.map(({ owners }) => owners.length)) / 2) + 1;
    const found = queues.map((queue): Found | undefined => {
      const owner = ownerOf(slotOf(keysOf(queue).asynq), views, majority);
      const server = owner === undefined ? undefined : servers.get(owner.node);
      if (owner === undefined || server?.serves !== true) return undefined;
      const { runId, replicationId, mark } = server;
      const traits = { owner: owner.node, epoch: owner.epoch, "run id": runId, "replication id": replicationId };
      return { traits: { ...traits, data: mark?.id ?? "" }, server };
    });
    // Its owner may be one that our map has not heard of: a call to it puts that right.
    const unknown = queues.filter((_, n) => found[n] === undefined);
    if (unknown.length > 0) void this.#goThere(unknown, options);
    return { found, servers: looks.map(({ server }) => server) };
  }

  async #look(
    node: RedisNode,
    settings: boolean,
    options: RunOptions,
  ): Promise<{ view: View; server: ServerLook } | undefined> {
    const calls = [
      { name: "CLUSTER", args: ["NODES"] },
      ...lookCalls(settings),
      ...(settings ? [{ name: "CONFIG", args: ["GET", "cluster-node-timeout"] }] : []),
    ];
    const asked = askedNow(this.#link);
    try {
      const [nodes, ...rest] = await node.run(calls, options);
      if (nodes instanceof LinkError && isForbidden(nodes)) {
        const problem =
          "CLUSTER NODES is not allowed for this user, and only that tells who owns a queue's slot: allow +cluster|nodes";
        this.#onForbidden(problem);
        throw new HoldfastError("BROKER_INCOMPATIBLE", { broker: this.#link.label, problem });
      }
      const view = nodes === undefined || nodes instanceof LinkError ? undefined : viewOf(nodes);
      if (view === undefined) return undefined;
      const { label } = node.address;
      const timeoutMs = settings ? Number(valueOf(rest.at(-1))) : 0;
      if (timeoutMs > 0) this.#nodeTimeoutsMs.set(label, timeoutMs);
      const look = serverLook(this.#link, this.#before, rest, asked);
      if (look.replTimeoutMs !== undefined) this.#replTimeoutsMs.set(label, look.replTimeoutMs);
      const server = { ...look, mayBeReplaced: look.mayBeReplaced || view.hasReplicas };
      return { view, server: server.serves ? { ...server, mark: await this.#mark(node, view, options) } : server };
    } catch (error) {
      if (HoldfastError.is(error, "BROKER_INCOMPATIBLE")) throw error;
      return undefined;
    }
  }

  /**
   * Each master has its own, in the first of its slots: with that it goes when the slot does.
   * @throws BROKER_UNAVAILABLE also where the node does not serve its slots yet
   */
  async #mark(node: RedisNode, { self, owners }: View, options: RunOptions): Promise<Mark | undefined> {
    const slots = owners.find((owner) => owner.node === self)?.slots.map(([first]) => first) ?? [];
    if (slots.length === 0) return undefined;
    const key = nodeDataKey(tagOf(Math.min(...slots)));
    const [reply] = await node.run([this.#marks.call(key, this.#link.clock.nowMs())], options);
    return markFrom(key, reply, this.#link.label);
  }

  #forgetOthers(nodes: readonly RedisNode[]): void {
    const there = new Set(nodes.map(({ address }) => address.label));
    for (const known of [this.#nodeTimeoutsMs, this.#replTimeoutsMs])
      for (const label of known.keys()) if (!there.has(label)) known.delete(label);
  }

  async #goThere(queues: readonly string[], options: RunOptions): Promise<void> {
    const calls = queues.map((queue) => ({ name: "EXISTS", args: [pendingKey(queue)] }));
    await this.#link.run(calls, options).catch(() => undefined);
  }
}

const longest = (known: ReadonlyMap<string, number>, usualMs: number): number =>
  known.size === 0 ? usualMs : Math.max(...known.values());

/** Whom as many of the views name as make a majority, with the same epoch, and not as one that failed. */
function ownerOf(slot: number, views: readonly View[], majority: number): Owner | undefined {
  const named = views
    .map(({ owners }) => owners.find(({ slots }) => slots.some(([first, last]) => first <= slot && slot <= last)))
    .filter((owner) => owner !== undefined);
  return named.find(({ node, epoch }) => {
    const same = named.filter((owner) => owner.node === node && owner.epoch === epoch);
    return same.length >= majority && !same.some(({ flags }) => flags.includes("fail"));
  });
}

/** Reads CLUSTER NODES: "id address flags master ping pong epoch state slots…", a line each. */
function viewOf(reply: Reply): View | undefined {
  let self: string | undefined;
  const replicated = new Set<string>();
  const owners: Owner[] = [];
  for (const line of String(reply).split("\n")) {
    const [node, , flagText = "", master = "", , , epoch = "", , ...ranges] = line.trim().split(" ");
    if (node === undefined || node === "") continue;
    const flags = flagText.split(",");
    if (flags.includes("myself")) self = node;
    // "-": whose it is has not come round yet.
    if (flags.includes("slave")) replicated.add(master);
    // "[93-<-…": a slot on its way, which is still its old owner's.
    const slots = ranges
      .filter((range) => !range.startsWith("["))
      .map((range) => {
        const [first, last = first] = range.split("-").map(Number);
        return [first!, last!] as const;
      });
    if (flags.includes("master") && slots.length > 0) owners.push({ node, epoch, flags, slots });
  }
  return self === undefined ? undefined : { self, hasReplicas: replicated.has(self) || replicated.has("-"), owners };
}
