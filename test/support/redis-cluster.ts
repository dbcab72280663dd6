import type { Redis } from "ioredis";
import { slotCount, slotOf } from "../../src/redis/slots.js";
import { RedisServer, type ServerOptions } from "./redis-server.js";
import { until } from "./until.js";

const nodeId = async ({ admin }: RedisServer) => (await admin.cluster("MYID")) as string;

/** A Redis Cluster of real processes, masters all, that share the slots evenly. */
export class RedisCluster implements AsyncDisposable {
  readonly masters: readonly RedisServer[];
  readonly #options: ServerOptions;
  readonly #replicas: RedisServer[] = [];

  static async start(
    count = 3,
    config: ServerOptions["config"] = {},
    how: Pick<ServerOptions, "tls" | "host"> = {},
  ): Promise<RedisCluster> {
    const encrypted = how.tls === undefined ? {} : { "tls-cluster": "yes" };
    // Long enough for a busy machine: nodes that give each other up for a moment refuse calls, and a test would see that.
    const nodes = { "cluster-enabled": "yes", "cluster-node-timeout": "6000", ...encrypted, ...config };
    const first = await RedisServer.start({ ...how, config: nodes });
    // All know the same authority.
    const options = { ...how, tls: first.certificates ?? false, config: nodes };
    const others = await Promise.all(Array.from({ length: count - 1 }, () => RedisServer.start(options)));
    const masters = [first, ...others];
    const cluster = new RedisCluster(masters, options);
    try {
      await cluster.#join();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  private constructor(masters: readonly RedisServer[], options: ServerOptions) {
    this.masters = masters;
    this.#options = options;
  }

  get url(): string {
    const scheme = this.masters[0]!.certificates === undefined ? "redis-cluster" : "rediss-cluster";
    return `${scheme}://${this.masters.map(({ place }) => place).join(",")}`;
  }

  /** The node that was given the key's slot at the start. */
  masterOf(key: string): RedisServer {
    return this.masters[Math.floor((slotOf(key) * this.masters.length) / slotCount)]!;
  }

  admin(key: string): Redis {
    return this.masterOf(key).admin;
  }

  /** Begin to move a key's slot from its master to another one. Answers the slot. */
  async beginMove(key: string, to: RedisServer): Promise<number> {
    const slot = slotOf(key);
    const from = this.masterOf(key);
    await to.admin.cluster("SETSLOT", slot, "IMPORTING", await nodeId(from));
    await from.admin.cluster("SETSLOT", slot, "MIGRATING", await nodeId(to));
    return slot;
  }

  /** Move some of its keys; answers how many. */
  async moveKeys(key: string, to: RedisServer, most: number): Promise<number> {
    const { admin } = this.masterOf(key);
    const keys = (await admin.cluster("GETKEYSINSLOT", slotOf(key), most)) as string[];
    if (keys.length > 0) await admin.call("MIGRATE", to.host, to.port, "", 0, 5_000, "KEYS", ...keys);
    return keys.length;
  }

  /** All its keys are there: now everybody is told. */
  async endMove(key: string, to: RedisServer): Promise<void> {
    const id = await nodeId(to);
    for (const { admin } of [to, ...this.masters.filter((master) => master !== to)]) {
      await admin.cluster("SETSLOT", slotOf(key), "NODE", id);
    }
  }

  /** A replica of the master that was given the key's slot, which it follows. */
  async addReplica(key: string): Promise<RedisServer> {
    const master = this.masterOf(key);
    const replica = await RedisServer.start(this.#options);
    this.#replicas.push(replica);
    await replica.admin.cluster("MEET", "127.0.0.1", master.port);
    const id = await nodeId(master);
    await until("it knows its master", async () => (await replica.admin.cluster("REPLICATE", id)) === "OK", 15_000);
    await until("it follows", async () => (await replica.admin.info()).includes("master_link_status:up"), 15_000);
    const own = await nodeId(replica);
    for (const { admin } of this.masters) {
      await until(
        "all know of it",
        async () => {
          const lines = ((await admin.cluster("NODES")) as string).split("\n");
          return lines.some((line) => line.startsWith(own) && line.includes(`slave ${id}`));
        },
        30_000,
      );
    }
    return replica;
  }

  /** It takes over from its master, which lives on as its replica. */
  async promote(replica: RedisServer): Promise<void> {
    let askedMs = Number.NEGATIVE_INFINITY;
    await until(
      "the replica is the master",
      async () => {
        // The masters may not have heard enough of it to vote: then nothing comes of it.
        if (performance.now() > askedMs + 6_000) {
          askedMs = performance.now();
          await replica.admin.cluster("FAILOVER");
        }
        return (await replica.admin.role())[0] === "master";
      },
      30_000,
    );
  }

  async stop(): Promise<void> {
    await Promise.all([...this.masters, ...this.#replicas].map((server) => server.stop()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #join(): Promise<void> {
    const [first, ...others] = this.masters;
    await Promise.all(
      this.masters.map(async (master, n) => {
        const slots = Array.from({ length: slotCount }, (_, slot) => slot);
        const own = slots.filter((slot) => Math.floor((slot * this.masters.length) / slotCount) === n);
        await master.admin.cluster("ADDSLOTS", ...own);
        await master.admin.cluster("SET-CONFIG-EPOCH", n + 1);
      }),
    );
    for (const { host, port } of others) await first!.admin.cluster("MEET", host, port);
    const joined = ["cluster_state:ok", `cluster_size:${this.masters.length}`, `cluster_slots_ok:${slotCount}`];
    for (const { admin } of this.masters) {
      await until(
        "all nodes know each other",
        async () => {
          const info = await admin.cluster("INFO");
          return joined.every((line) => info.includes(line));
        },
        15_000,
      );
    }
  }
}
