import { RedisServer, type ServerOptions } from "./redis-server.js";
import { until } from "./until.js";

const name = "tasks";

/** A master, its replica, and three Sentinels that watch them: real processes. */
export class RedisSentinels implements AsyncDisposable {
  /** As they were at the start. */
  readonly master: RedisServer;
  readonly replica: RedisServer;
  readonly sentinels: readonly RedisServer[];

  static async start({
    data = {},
    sentinel = {},
    tls = false,
  }: {
    data?: ServerOptions["config"];
    sentinel?: ServerOptions["config"];
    tls?: boolean;
  } = {}): Promise<RedisSentinels> {
    const master = await RedisServer.start({ tls, config: { ...data } });
    // All know the same authority.
    const secured = { tls: master.certificates ?? false };
    const replica = await RedisServer.start({
      ...secured,
      config: { replicaof: `127.0.0.1 ${master.port}`, ...data },
    });
    const watch = [
      `monitor ${name} 127.0.0.1 ${master.port} 2`,
      `down-after-milliseconds ${name} 1500`,
      `failover-timeout ${name} 5000`,
    ];
    const { sentinel: more = [], ...config } = { ...sentinel };
    const options = { ...secured, sentinel: true, config: { ...config, sentinel: [...watch, ...[more].flat()] } };
    const sentinels = await Promise.all([1, 2, 3].map(() => RedisServer.start(options)));
    const all = new RedisSentinels(master, replica, sentinels);
    for (const { admin } of sentinels) {
      await until(
        "all Sentinels know each other and the replica",
        async () => {
          const fields = (await admin.call("SENTINEL", "MASTER", name)) as string[];
          const field = (of: string) => fields[fields.indexOf(of) + 1];
          return field("num-other-sentinels") === "2" && field("num-slaves") === "1" && field("flags") === "master";
        },
        15_000,
      );
    }
    await until("the replica follows", async () => (await replica.admin.info()).includes("master_link_status:up"));
    return all;
  }

  private constructor(master: RedisServer, replica: RedisServer, sentinels: readonly RedisServer[]) {
    this.master = master;
    this.replica = replica;
    this.sentinels = sentinels;
  }

  get url(): string {
    const scheme = this.master.certificates === undefined ? "redis-sentinel" : "rediss-sentinel";
    return `${scheme}://${this.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",")}?master=${name}`;
  }

  async stop(): Promise<void> {
    await Promise.all([this.master, this.replica, ...this.sentinels].map((server) => server.stop()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
