import type { Redis } from "ioredis";
import { keysOf } from "../../../src/redis/keys.js";
import { slotCount, slotOf } from "../../../src/redis/slots.js";
import { until } from "../../support/until.js";
import { hostAddress, hostNumbers, Network } from "./network.js";
import type { Stage } from "./scene.js";

const config =
  'appendonly yes\nsave ""\ncluster-enabled yes\ncluster-node-timeout 2000\ncluster-require-full-coverage no\nrepl-diskless-sync-delay 0\n';
const [masterPort, replicaPort] = [6_379, 6_380];
const count = hostNumbers.length;
const third = (slot: number) => Math.floor((slot * count) / slotCount);
/** The first host's master has the queue "default". */
const hostOf = (slot: number) => 1 + ((third(slot) - third(slotOf(keysOf("default").asynq)) + count) % count);
/** On the host after its master's. */
const hostOfReplica = (n: number) => 1 + (n % count);

/** A Cluster on three hosts, on each a master and the replica of another one's. */
export class ClusterHosts {
  readonly network: Network;
  /** By host. */
  readonly masters: readonly Redis[];
  /** By their masters' hosts. */
  readonly replicas: readonly Redis[];

  static async start(folder: string): Promise<ClusterHosts> {
    const cluster = new ClusterHosts(new Network(folder));
    return cluster.network.ready(async () => {
      await cluster.#join();
      return cluster;
    });
  }

  private constructor(network: Network) {
    this.network = network;
    this.masters = hostNumbers.map((n) => network.run(n, masterPort, config));
    this.replicas = hostNumbers.map((n) => network.run(hostOfReplica(n), replicaPort, config));
  }

  stage(): Stage {
    return {
      url: `redis-cluster://${hostNumbers.map((n) => `${hostAddress(n)}:${masterPort}`).join(",")}`,
      clusterHosts: this,
      holder: (queue) => this.#holder(queue),
      [Symbol.asyncDispose]: () => this.network[Symbol.asyncDispose](),
    };
  }

  async #holder(queue: string): Promise<Redis> {
    for (const admin of [...this.masters, ...this.replicas]) {
      const isMaster = (await admin.role())[0] === "master";
      // Who has not got the slot says so.
      if (isMaster && (await admin.exists(keysOf(queue).asynq).catch(() => -1)) >= 0) return admin;
    }
    throw new Error(`nobody has the slot of ${queue}`);
  }

  async #join(): Promise<void> {
    const all = [...this.masters, ...this.replicas];
    const slots = Array.from({ length: slotCount }, (_, slot) => slot);
    for (const [n, admin] of this.masters.entries()) {
      await until("it is up", async () => (await admin.ping()) === "PONG", 30_000);
      await admin.cluster("ADDSLOTS", ...slots.filter((slot) => hostOf(slot) === n + 1));
      await admin.cluster("SET-CONFIG-EPOCH", n + 1);
    }
    for (const admin of all) await admin.cluster("MEET", hostAddress(1), masterPort);
    for (const [n, replica] of this.replicas.entries()) {
      const id = (await this.masters[n]!.cluster("MYID")) as string;
      await until("it knows its master", async () => (await replica.cluster("REPLICATE", id)) === "OK", 30_000);
      await until("it follows", async () => (await replica.info()).includes("master_link_status:up"), 30_000);
    }
    const known = ["cluster_state:ok", `cluster_known_nodes:${all.length}`, `cluster_size:${count}`];
    for (const admin of all)
      await until(
        "all know all",
        async () => {
          const info = await admin.cluster("INFO");
          const nodes = (await admin.cluster("NODES")) as string;
          return known.every((line) => info.includes(line)) && nodes.match(/slave/g)?.length === count;
        },
        30_000,
      );
  }
}
