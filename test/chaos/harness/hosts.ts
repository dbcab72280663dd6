import type { Redis } from "ioredis";
import { until } from "../../support/until.js";
import { hostAddress, hostNumbers, Network } from "./network.js";
import type { Stage } from "./scene.js";

/** Three hosts, on each a server and a Sentinel. The first one has the master. */
export class Hosts {
  readonly network: Network;
  readonly admins: readonly Redis[];

  static async start(folder: string): Promise<Hosts> {
    const network = new Network(folder);
    const hosts = new Hosts(network);
    return network.ready(async () => {
      await until(
        "all follow the first",
        async () => (await hosts.admins[0]!.info()).includes("connected_slaves:2"),
        30_000,
      );
      const sentinels = hostNumbers.map((n) => network.run(n, 26_379, sentinel, "--sentinel"));
      await until(
        "the Sentinels agree",
        async () => String(await sentinels[0]!.call("SENTINEL", "CKQUORUM", "tasks")).startsWith("OK 3"),
        30_000,
      );
      return hosts;
    });
  }

  private constructor(network: Network) {
    this.network = network;
    this.admins = hostNumbers.map((n) =>
      network.run(n, 6_379, n === 1 ? server : `${server}replicaof ${hostAddress(1)} 6379\n`),
    );
  }

  /** Whoever is outside sees the first one alone, and has to connect anew. */
  async hide(): Promise<void> {
    this.network.hide();
    await this.admins[0]!.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  }

  stage(): Stage {
    return {
      url: `redis-sentinel://${hostNumbers.map((n) => `${hostAddress(n)}:26379`).join(",")}?master=tasks`,
      hosts: this,
      holder: () => this.#master(),
      [Symbol.asyncDispose]: () => this.network[Symbol.asyncDispose](),
    };
  }

  async #master(): Promise<Redis> {
    const roles = await Promise.all(this.admins.map((admin) => admin.role()));
    return this.admins[roles.findIndex(([role]) => role === "master")]!;
  }
}

const server = 'appendonly yes\nsave ""\nrepl-diskless-sync-delay 0\nrepl-timeout 5\nrepl-ping-replica-period 1\n';
const sentinel = `sentinel monitor tasks ${hostAddress(1)} 6379 2\nsentinel down-after-milliseconds tasks 1500\nsentinel failover-timeout tasks 6000\n`;
