import { RedisServer, type ServerOptions } from "./redis-server.js";
import { until } from "./until.js";

const name = "tasks";

/** A master, its replica or replicas, and three Sentinels that watch them: real processes. */
export class RedisSentinels implements AsyncDisposable {
  /** As they were at the start. */
  readonly master: RedisServer;
  readonly replicas: readonly RedisServer[];
  readonly sentinels: readonly RedisServer[];

  static async start({
    data = {},
    sentinel = {},
    tls = false,
    replicas: count = 1,
  }: {
    data?: ServerOptions["config"];
    sentinel?: ServerOptions["config"];
    tls?: boolean;
    replicas?: number;
  } = {}): Promise<RedisSentinels> {
    const master = await RedisServer.start({ tls, config: { ...data } });
    // All know the same authority.
    const secured = { tls: master.certificates ?? false };
    const config = { replicaof: `127.0.0.1 ${master.port}`, ...data };
    const replicas = await Promise.all(Array.from({ length: count }, () => RedisServer.start({ ...secured, config })));
    const watch = [
      `monitor ${name} 127.0.0.1 ${master.port} 2`,
      `down-after-milliseconds ${name} 1500`,
      `failover-timeout ${name} 5000`,
    ];
    const { sentinel: more = [], ...rest } = { ...sentinel };
    const options = { ...secured, sentinel: true, config: { ...rest, sentinel: [...watch, ...[more].flat()] } };
    const sentinels = await Promise.all([1, 2, 3].map(() => RedisServer.start(options)));
    const all = new RedisSentinels(master, replicas, sentinels);
    for (const { admin } of sentinels) {
      await until(
        "all Sentinels know each other and the replica",
        async () => {
          const fields = (await admin.call("SENTINEL", "MASTER", name)) as string[];
          const field = (of: string) => fields[fields.indexOf(of) + 1];
          return (
            field("num-other-sentinels") === "2" && field("num-slaves") === String(count) && field("flags") === "master"
          );
        },
        15_000,
      );
    }
    for (const { admin } of replicas) {
      await until("the replica follows", async () => (await admin.info()).includes("master_link_status:up"));
    }
    return all;
  }

  private constructor(master: RedisServer, replicas: readonly RedisServer[], sentinels: readonly RedisServer[]) {
    this.master = master;
    this.replicas = replicas;
    this.sentinels = sentinels;
  }

  /** The only one, or the first. */
  get replica(): RedisServer {
    return this.replicas[0]!;
  }

  get url(): string {
    const scheme = this.master.certificates === undefined ? "redis-sentinel" : "rediss-sentinel";
    return `${scheme}://${this.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",")}?master=${name}`;
  }

  async stop(): Promise<void> {
    await Promise.all([this.master, ...this.replicas, ...this.sentinels].map((server) => server.stop()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
