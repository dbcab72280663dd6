import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FaultProxy } from "../../support/fault-proxy.js";
import { RedisServer } from "../../support/redis-server.js";
import { until } from "../../support/until.js";
import type { Stage } from "../harness/scene.js";
import type { Mode } from "./modes.js";

/** `server` and `proxy` are those that producers and workers are on at present. */
export interface SoakStage extends Stage {
  readonly server: RedisServer;
  readonly proxy: FaultProxy;
  /** Storage, until it works again: kill -9; its machine gone for good, with the disk; taken down for a while on purpose. */
  crash(): Promise<void>;
  lose(): Promise<void>;
  maintain(): Promise<void>;
  /** Whether one more of these can be survived at all by what this stage is made of. */
  ready(): Promise<boolean>;
}

type Forgets = (why: string) => void;

export const soakStage = (mode: Mode, forgets: Forgets): Promise<SoakStage> =>
  mode.stage === "server" ? serverStage(mode, forgets) : SentinelStage.start(mode, forgets);

const awayMs = 500;
const debug = { "enable-debug-command": "yes" };

/** On a machine that has too much to do it takes a while. */
async function started(server: RedisServer, config: Mode["config"] = {}): Promise<void> {
  await server.start("loaded", config).catch(() => undefined);
  await until("it answers", () => server.admin.ping(), 60_000);
}

/** Started again where it was, by whatever watches processes. */
async function serverStage({ config }: Mode, forgets: Forgets): Promise<SoakStage> {
  const server = await RedisServer.start({ config: { ...debug, ...config } });
  const proxy = await FaultProxy.to(server.port);
  const again = async (clean: boolean) => {
    await server.kill();
    if (clean)
      for (const file of ["dump.rdb", "appendonlydir"])
        rmSync(join(server.dir, file), { recursive: true, force: true });
    await sleep(awayMs);
    forgets(clean ? "its disk is gone" : "its last snapshot is older");
    await started(server);
  };
  return {
    url: proxy.url,
    server,
    proxy,
    holder: () => Promise.resolve(server.admin),
    crash: () => again(false),
    lose: () => again(true),
    async maintain() {
      await server.admin.shutdown().catch(() => undefined); // It answers by hanging up.
      await server.kill();
      await sleep(awayMs);
      await started(server);
    },
    ready: () => Promise.resolve(true),
    async [Symbol.asyncDispose]() {
      await proxy.refuse();
      await server.stop();
    },
  };
}

/** A server and the way to it, under whose port the others know it. */
interface Node {
  readonly server: RedisServer;
  readonly proxy: FaultProxy;
}

const name = "tasks";
const announced = ({ proxy }: Node) => ({
  "replica-announce-ip": "127.0.0.1",
  "replica-announce-port": `${proxy.port}`,
});

/** A master, its replica and three Sentinels; all traffic to the two goes through proxies. */
class SentinelStage implements SoakStage {
  readonly url: string;
  readonly #nodes: readonly Node[];
  readonly #sentinels: readonly RedisServer[];
  readonly #forgets: Forgets;
  #master: Node;
  /** No master any more, and not told of it yet. */
  #former: Node | undefined;
  #over = false;
  readonly #watching: Promise<void>;

  static async start({ config }: Mode, forgets: Forgets): Promise<SentinelStage> {
    const nodes = await Promise.all(
      [1, 2].map(async () => {
        const server = await RedisServer.start({ config: { ...debug, ...config } });
        const node = { server, proxy: await FaultProxy.to(server.port) };
        for (const [key, value] of Object.entries(announced(node))) await server.admin.config("SET", key, value);
        return node;
      }),
    );
    const [master, replica] = nodes as [Node, Node];
    await replica.server.admin.replicaof("127.0.0.1", master.proxy.port);
    await until("the replica follows", () => follows(replica), 15_000);
    const watch = [
      `monitor ${name} 127.0.0.1 ${master.proxy.port} 2`,
      // Longer than any fault that is not to end in a failover.
      `down-after-milliseconds ${name} 5000`,
      `failover-timeout ${name} 5000`,
    ];
    const options = { sentinel: true, config: { sentinel: watch } };
    const sentinels = await Promise.all([1, 2, 3].map(() => RedisServer.start(options)));
    await Promise.all(
      sentinels.map(({ admin }) =>
        until(
          "the Sentinels agree",
          async () => String(await admin.call("SENTINEL", "CKQUORUM", name)).startsWith("OK 3"),
          20_000,
        ),
      ),
    );
    return new SentinelStage(nodes, sentinels, forgets);
  }

  private constructor(nodes: readonly Node[], sentinels: readonly RedisServer[], forgets: Forgets) {
    this.#nodes = nodes;
    this.#master = nodes[0]!;
    this.#sentinels = sentinels;
    this.#forgets = forgets;
    this.url = `redis-sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",")}?master=${name}`;
    this.#watching = this.#watch();
  }

  get server(): RedisServer {
    return this.#master.server;
  }

  get proxy(): FaultProxy {
    return this.#master.proxy;
  }

  holder = () => Promise.resolve(this.server.admin);

  crash = () => this.#again(false);
  lose = () => this.#again(true);

  /** On a busy machine it may take longer than the Sentinels allow: then they give it up, and say so to nobody. */
  async maintain(): Promise<void> {
    const old = this.#master;
    await until("the Sentinels know a replica that is fit", () => this.ready(), 60_000);
    await until(
      "there is another master",
      async () => {
        await this.#look();
        if (this.#master !== old) return true;
        if (await this.#isCalm()) await this.#sentinels[0]!.admin.call("SENTINEL", "FAILOVER", name);
        return false;
      },
      120_000,
    );
    await this.#replaced(old);
  }

  /** The other one follows, and the Sentinels know it. */
  async ready(): Promise<boolean> {
    const replica = this.#nodes.find((node) => node !== this.#master)!;
    if (this.#former !== undefined || !(await follows(replica).catch(() => false))) return false;
    return this.#isCalm();
  }

  /** No failover is under way, and the one that is asked for a failover knows the replica as one that follows. */
  async #isCalm(): Promise<boolean> {
    const [{ admin }] = this.#sentinels as [RedisServer];
    const master = (await admin.call("SENTINEL", "MASTER", name)) as string[];
    const [replica = []] = (await admin.call("SENTINEL", "REPLICAS", name)) as string[][];
    const valueIn = (fields: readonly string[], of: string) => fields[fields.indexOf(of) + 1];
    return (
      valueIn(master, "flags") === "master" &&
      valueIn(replica, "flags") === "slave" &&
      valueIn(replica, "master-link-status") === "ok"
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    await this.#watching;
    for (const { proxy } of this.#nodes) await proxy.refuse();
    await Promise.all([...this.#nodes.map(({ server }) => server), ...this.#sentinels].map((one) => one.stop()));
  }

  /** The replica takes over; then the old one comes back, as the master that it was. */
  async #again(clean: boolean): Promise<void> {
    const old = this.#master;
    await old.server.kill();
    await until("the replica is the master", () => this.#master !== old, 60_000);
    if (clean) rmSync(join(old.server.dir, "appendonlydir"), { recursive: true, force: true });
    await started(old.server, announced(old));
    await this.#replaced(old);
  }

  async #replaced(old: Node): Promise<void> {
    await until("there is another master", () => this.#master !== old && this.#former === undefined, 60_000);
  }

  /** Who is the master, also where nobody meant it to change. */
  async #watch(): Promise<void> {
    while (!this.#over) {
      await sleep(50);
      await this.#look().catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    const [, port] = (await this.#sentinels[0]!.admin.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)) as string[];
    const master = this.#nodes.find(({ proxy }) => proxy.port === Number(port))!;
    if (master !== this.#master) {
      this.#forgets("failover");
      this.#former = this.#master;
      this.#master = master;
    }
    const former = this.#former;
    if (former?.server.running !== true || (await former.server.admin.role())[0] !== "slave") return;
    this.#forgets("the old master was told");
    this.#former = undefined;
  }
}

const follows = async ({ server }: Node) => (await server.admin.info("replication")).includes("master_link_status:up");
