import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { until } from "../../support/until.js";

const ip = (...args: string[]) => void execFileSync("ip", args, { stdio: "pipe" });
const [bridge, own] = ["hfbridge", "10.79.0.1/24"];
const space = (n: number) => `hfhost${n}`;

export const hostNumbers = [1, 2, 3];
export const hostAddress = (n: number) => `10.79.0.1${n}`;

export const lacksHosts = () =>
  process.platform === "linux" && process.getuid?.() === 0 ? undefined : "makes hosts of its own: needs Linux and root";

/** Three hosts, as far as the network is concerned, with servers on them. */
export class Network implements AsyncDisposable {
  readonly #folder: string;
  readonly #children: ChildProcess[] = [];
  readonly #admins: Redis[] = [];

  constructor(folder: string) {
    this.#folder = folder;
    remove();
    ip("link", "add", bridge, "type", "bridge");
    ip("addr", "add", own, "dev", bridge);
    ip("link", "set", bridge, "up");
    for (const n of hostNumbers) {
      ip("netns", "add", space(n));
      ip("link", "add", `hfveth${n}`, "type", "veth", "peer", "name", "eth0", "netns", space(n));
      ip("link", "set", `hfveth${n}`, "master", bridge, "up");
      ip("-n", space(n), "addr", "add", `${hostAddress(n)}/24`, "dev", "eth0");
      ip("-n", space(n), "link", "set", "eth0", "up");
      ip("-n", space(n), "link", "set", "lo", "up");
    }
  }

  /** What `start` answers; where it fails, nothing is left behind. */
  async ready<T>(start: () => Promise<T>): Promise<T> {
    try {
      return await start();
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A server on host `n`, and a connection to it. */
  run(n: number, port: number, config: string, ...args: string[]): Redis {
    const dir = join(this.#folder, `${n}-${port}`);
    mkdirSync(dir);
    const file = join(dir, "redis.conf");
    writeFileSync(file, `bind 0.0.0.0\nprotected-mode no\ndir ${dir}\nport ${port}\n${config}`);
    const child = spawn("ip", ["netns", "exec", space(n), "redis-server", file, ...args], { stdio: "ignore" });
    process.once("exit", () => child.kill("SIGKILL"));
    this.#children.push(child);
    const admin = new Redis({ host: hostAddress(n), port, retryStrategy: () => 100, protocol: 2 });
    admin.on("error", () => undefined);
    this.#admins.push(admin);
    return admin;
  }

  /** The first host hears nothing of the others any more, nor they of it; whoever is outside sees them all. */
  part(): void {
    for (const n of [2, 3]) ip("-n", space(1), "route", "add", "blackhole", hostAddress(n));
  }

  join(): void {
    for (const n of [2, 3]) ip("-n", space(1), "route", "del", "blackhole", hostAddress(n));
  }

  /** Whoever is outside sees the first one alone. */
  hide(): void {
    for (const n of [2, 3]) ip("route", "add", "blackhole", hostAddress(n));
  }

  show(): void {
    for (const n of [2, 3]) ip("route", "del", "blackhole", hostAddress(n));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const admin of this.#admins) admin.disconnect();
    for (const child of this.#children) child.kill("SIGKILL");
    await until("all have ended", () =>
      this.#children.every(({ signalCode, exitCode }) => (signalCode ?? exitCode) !== null),
    );
    remove();
  }
}

/** Also what a run that was killed has left. */
function remove(): void {
  for (const args of [...hostNumbers.map((n) => ["netns", "del", space(n)]), ["link", "del", bridge]]) {
    try {
      ip(...args);
    } catch {
      // It is not there.
    }
  }
}
