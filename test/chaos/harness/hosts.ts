import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { until } from "../../support/until.js";
import type { Stage } from "./scene.js";

const ip = (...args: string[]) => void execFileSync("ip", args, { stdio: "pipe" });
const numbers = [1, 2, 3];
const address = (n: number) => `10.79.0.1${n}`;
const [bridge, own] = ["hfbridge", "10.79.0.1/24"];
const space = (n: number) => `hfhost${n}`;

export const lacksHosts = () =>
  process.platform === "linux" && process.getuid?.() === 0 ? undefined : "makes hosts of its own: needs Linux and root";

/** Three hosts, as far as the network is concerned: on each a server and a Sentinel. The first one has the master. */
export class Hosts implements AsyncDisposable {
  readonly admins: readonly Redis[];
  readonly #children: ChildProcess[] = [];

  static async start(folder: string): Promise<Hosts> {
    remove();
    ip("link", "add", bridge, "type", "bridge");
    ip("addr", "add", own, "dev", bridge);
    ip("link", "set", bridge, "up");
    for (const n of numbers) {
      ip("netns", "add", space(n));
      ip("link", "add", `hfveth${n}`, "type", "veth", "peer", "name", "eth0", "netns", space(n));
      ip("link", "set", `hfveth${n}`, "master", bridge, "up");
      ip("-n", space(n), "addr", "add", `${address(n)}/24`, "dev", "eth0");
      ip("-n", space(n), "link", "set", "eth0", "up");
      ip("-n", space(n), "link", "set", "lo", "up");
    }
    const hosts = new Hosts(folder);
    await until(
      "all follow the first",
      async () => (await hosts.admins[0]!.info()).includes("connected_slaves:2"),
      30_000,
    );
    for (const n of numbers) hosts.#run(n, "sentinel", sentinel);
    const watching = new Redis({ host: address(1), port: 26_379, retryStrategy: () => 100, protocol: 2 });
    watching.on("error", () => undefined);
    await until(
      "the Sentinels agree",
      async () => String(await watching.call("SENTINEL", "CKQUORUM", "tasks")).startsWith("OK 3"),
      30_000,
    ).finally(() => watching.disconnect());
    return hosts;
  }

  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    for (const n of numbers) this.#run(n, "server", n === 1 ? server : `${server}replicaof ${address(1)} 6379\n`);
    this.admins = numbers.map((n) => new Redis({ host: address(n), retryStrategy: () => 100, protocol: 2 }));
    for (const admin of this.admins) admin.on("error", () => undefined);
  }

  /** The first one hears nothing of the others any more, nor they of it; whoever is outside sees them all. */
  part(): void {
    for (const n of [2, 3]) ip("-n", space(1), "route", "add", "blackhole", address(n));
  }

  join(): void {
    for (const n of [2, 3]) ip("-n", space(1), "route", "del", "blackhole", address(n));
  }

  /** Whoever is outside sees the first one alone, and has to connect anew. */
  async hide(): Promise<void> {
    for (const n of [2, 3]) ip("route", "add", "blackhole", address(n));
    await this.admins[0]!.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  }

  show(): void {
    for (const n of [2, 3]) ip("route", "del", "blackhole", address(n));
  }

  stage(): Stage {
    return {
      url: `redis-sentinel://${numbers.map((n) => `${address(n)}:26379`).join(",")}?master=tasks`,
      hosts: this,
      holder: () => this.#master(),
      [Symbol.asyncDispose]: () => this[Symbol.asyncDispose](),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const admin of this.admins) admin.disconnect();
    for (const child of this.#children) child.kill("SIGKILL");
    await until("all have ended", () =>
      this.#children.every(({ signalCode, exitCode }) => (signalCode ?? exitCode) !== null),
    );
    remove();
  }

  async #master(): Promise<Redis> {
    const roles = await Promise.all(this.admins.map((admin) => admin.role()));
    return this.admins[roles.findIndex(([role]) => role === "master")]!;
  }

  #run(n: number, kind: "server" | "sentinel", config: string): void {
    const dir = join(this.#folder, `${kind}${n}`);
    mkdirSync(dir);
    writeFileSync(join(dir, "redis.conf"), `bind 0.0.0.0\nprotected-mode no\ndir ${dir}\n${config}`);
    const args = ["netns", "exec", space(n), "redis-server", join(dir, "redis.conf")];
    const child = spawn("ip", kind === "sentinel" ? [...args, "--sentinel"] : args, { stdio: "ignore" });
    process.once("exit", () => child.kill("SIGKILL"));
    this.#children.push(child);
  }
}

const server = 'appendonly yes\nsave ""\nrepl-diskless-sync-delay 0\nrepl-timeout 5\nrepl-ping-replica-period 1\n';
const sentinel = `port 26379\nsentinel monitor tasks ${address(1)} 6379 2\nsentinel down-after-milliseconds tasks 1500\nsentinel failover-timeout tasks 6000\n`;

/** Also what a run that was killed has left. */
function remove(): void {
  for (const args of [...numbers.map((n) => ["netns", "del", space(n)]), ["link", "del", bridge]]) {
    try {
      ip(...args);
    } catch {
      // It is not there.
    }
  }
}
