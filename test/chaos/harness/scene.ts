import { once } from "node:events";
import type { Redis } from "ioredis";
import type { FaultProxy } from "../../support/fault-proxy.js";
import type { RedisCluster } from "../../support/redis-cluster.js";
import type { RedisSentinels } from "../../support/redis-sentinels.js";
import type { RedisServer } from "../../support/redis-server.js";
import type { Children } from "./children.js";
import type { ClusterHosts } from "./cluster-hosts.js";
import type { Hosts } from "./hosts.js";
import type { Journal } from "./journal.js";
import type { Line } from "./line.js";
import type { Named } from "./named.js";

/** The servers of an episode. */
export interface Stage extends AsyncDisposable {
  /** Where producers and workers connect. */
  readonly url: string;
  /** The server that has a queue now. */
  holder(queue: string): Promise<Redis>;
  readonly server?: RedisServer;
  readonly proxy?: FaultProxy;
  readonly sentinels?: RedisSentinels;
  readonly cluster?: RedisCluster;
  /** On a Cluster, of the node that has the queue "default". */
  readonly replica?: RedisServer;
  readonly hosts?: Hosts;
  readonly clusterHosts?: ClusterHosts;
  readonly line?: Line;
  readonly named?: Named;
  /** What runs the scripts of producers and workers. Default: this Node. */
  readonly node?: string;
}

export type StageKind = "server" | "sentinel" | "cluster" | "hosts" | "clusterHosts" | "line" | "named";

/** What a row's fault gets to work on. */
export class Scene {
  readonly stage: Stage;
  readonly children: Children;
  readonly journal: Journal;
  /** Of this episode; removed at its end. */
  readonly folder: string;
  /** 0 ≤ x < 1, from the seed. */
  readonly random: () => number;
  /** For what a row has to undo. */
  undo: (() => Promise<void> | void)[] = [];

  constructor(stage: Stage, children: Children, journal: Journal, folder: string, random: () => number) {
    this.stage = stage;
    this.children = children;
    this.journal = journal;
    this.folder = folder;
    this.random = random;
  }

  get server(): RedisServer {
    return there(this.stage.server);
  }

  get admin(): Redis {
    return this.server.admin;
  }

  get proxy(): FaultProxy {
    return there(this.stage.proxy);
  }

  get sentinels(): RedisSentinels {
    return there(this.stage.sentinels);
  }

  get cluster(): RedisCluster {
    return there(this.stage.cluster);
  }

  get hosts(): Hosts {
    return there(this.stage.hosts);
  }

  get clusterHosts(): ClusterHosts {
    return there(this.stage.clusterHosts);
  }

  get line(): Line {
    return there(this.stage.line);
  }

  get named(): Named {
    return there(this.stage.named);
  }

  get replica(): RedisServer {
    return there(this.stage.replica);
  }

  readonly anyOf = <T>(list: readonly T[]): T => list[Math.floor(this.random() * list.length)]!;

  /**
   * Tasks that nobody takes in the next seconds are accepted: their ids. Whoever forgets what it was told last forgets
   * these, and that does not hang on luck.
   */
  async promise(): Promise<readonly string[]> {
    const { process: producer } = this.children.producers[0]!;
    const answer = once(producer, "message");
    producer.send({ do: "enqueue", plan: "later", count: 20, ms: 4_000, tells: true });
    const [{ accepted }] = (await answer) as [{ accepted: readonly string[] }];
    if (accepted.length === 0) throw new Error("nothing was accepted that could be lost");
    return accepted;
  }

  /** The same, and a replica has none of them; it stands still until it is thawed. */
  async promiseWithout(replica: RedisServer, master: RedisServer): Promise<void> {
    replica.freeze();
    // What is already on its way to it arrives when it thaws, so nothing more may set out.
    await master.admin.call("CLIENT", "KILL", "TYPE", "replica");
    this.forgets("the replica does not hear of it");
    await this.promise();
  }

  /** From now on storage may have forgotten what it had acknowledged. */
  forgets(why: string): void {
    this.journal.say({ e: "incarnation", why });
  }
}

function there<T>(part: T | undefined): T {
  if (part === undefined) throw new Error("this row is on the wrong stage");
  return part;
}
