import { type EvictedKeys, evictedKeysFrom, evictedSince, nodeIn } from "../core/evicted-keys.js";
import { LinkError, type RedisLink, type RedisNode } from "./link.js";
import { infoCalls, infoIn } from "./server-check.js";

/** A server that may delete tasks when its memory is full, or has; or may no more: then its policy is "noeviction". */
export interface Evicting {
  /** "host:port" */
  readonly node: string;
  readonly policy: string;
  /** Keys that it has deleted since the last look. */
  readonly evicted: number;
}

interface Seen {
  readonly policy: string;
  /** Undefined where it does not say. */
  readonly evicted: EvictedKeys | undefined;
}

/** A policy can be changed at any time, and by then the look before the first call is long over. */
export class EvictionWatch {
  readonly #link: RedisLink;
  readonly #tell: (evicting: Evicting) => void;
  readonly #seen = new Map<string, Seen>();

  constructor(link: RedisLink, tell: (evicting: Evicting) => void) {
    this.#link = link;
    this.#tell = tell;
  }

  /** One trip to each server; never rejects: who is away, or does not say, is passed over. */
  async look(withinMs: number): Promise<void> {
    const nodes = await this.#link.nodes().catch(() => []);
    await Promise.all(nodes.map(async (node) => this.#lookAt(node, withinMs).catch(() => undefined)));
  }

  async #lookAt(node: RedisNode, timeoutMs: number): Promise<void> {
    const replies = await node.run(infoCalls(["server", "memory", "stats"]), { timeoutMs, insist: false });
    if (replies.some((reply) => reply instanceof LinkError)) return;
    const info = infoIn(replies, this.#link);
    const { maxmemory_policy: policy } = info;
    const keys = evictedKeysFrom(info, performance.now());
    if (policy === undefined) return;
    const { label } = node.address;
    const before = this.#seen.get(label);
    this.#seen.set(label, { policy, evicted: keys });
    // What it deleted before anyone looked was hardly ours.
    const evicted = before?.evicted === undefined || keys === undefined ? 0 : evictedSince(before.evicted, keys);
    if (policy === (before?.policy ?? "noeviction") && evicted === 0) return;
    this.#tell({ node: nodeIn(label), policy, evicted });
  }
}
