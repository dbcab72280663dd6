import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { until } from "../../support/until.js";
import { lacksHosts } from "./network.js";
import type { Stage } from "./scene.js";

const run = (command: string, ...args: string[]) => void execFileSync(command, args, { stdio: "pipe" });
const [space, outer] = ["hfline", "hfline0"];
const [own, address] = ["10.79.1.1", "10.79.1.2"];

/** A server on a host of its own, at the other end of a line that can be made bad. */
export class Line implements AsyncDisposable {
  readonly admin: Redis;
  readonly #server: ChildProcess;

  static async start(folder: string): Promise<Line> {
    remove();
    run("ip", "netns", "add", space);
    run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", space);
    run("ip", "addr", "add", `${own}/24`, "dev", outer);
    run("ip", "link", "set", outer, "up");
    run("ip", "-n", space, "addr", "add", `${address}/24`, "dev", "eth0");
    run("ip", "-n", space, "link", "set", "eth0", "up");
    const line = new Line(folder);
    await until("the server answers", () => line.admin.ping(), 30_000);
    return line;
  }

  private constructor(folder: string) {
    const dir = join(folder, "far");
    mkdirSync(dir);
    const config = join(dir, "redis.conf");
    writeFileSync(config, `bind ${address}\nprotected-mode no\ndir ${dir}\nappendonly yes\nsave ""\n`);
    this.#server = spawn("ip", ["netns", "exec", space, "redis-server", config], { stdio: "ignore" });
    process.once("exit", () => this.#server.kill("SIGKILL"));
    this.admin = new Redis({ host: address, retryStrategy: () => 100, protocol: 2 });
    this.admin.on("error", () => undefined);
  }

  /** So many of a hundred packets to the server are dropped, and as many of those from it. */
  dropping(percent: number): void {
    const rules = ["input", "output"].map(
      (hook) =>
        `table inet ${hook}s {\nchain c {\ntype filter hook ${hook} priority 0\nnumgen random mod 100 < ${percent} drop\n}\n}`,
    );
    run("ip", "netns", "exec", space, "nft", rules.join("\n"));
  }

  /** No more than that, in either direction. */
  narrow(rate: string): void {
    const limit = ["root", "tbf", "rate", rate, "burst", "32kbit", "latency", "400ms"];
    run("tc", "qdisc", "add", "dev", outer, ...limit);
    run("tc", "-n", space, "qdisc", "add", "dev", "eth0", ...limit);
  }

  mend(): void {
    if (lacksFilter() === undefined) run("ip", "netns", "exec", space, "nft", "flush", "ruleset");
    for (const args of [
      ["qdisc", "del", "dev", outer, "root"],
      ["-n", space, "qdisc", "del", "dev", "eth0", "root"],
    ])
      quietly("tc", ...args);
  }

  stage(): Stage {
    return {
      url: `redis://${address}:6379`,
      line: this,
      holder: () => Promise.resolve(this.admin),
      [Symbol.asyncDispose]: () => this[Symbol.asyncDispose](),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.admin.disconnect();
    this.#server.kill("SIGKILL");
    await until("it has ended", () => (this.#server.signalCode ?? this.#server.exitCode) !== null);
    remove();
  }
}

const has = (command: string) => spawnSync(command, ["-V"]).error === undefined;
export const lacksFilter = () => lacksHosts() ?? (has("nft") ? undefined : "drops packets by nft, which is not there");
export const lacksShaper = () => lacksHosts() ?? (has("tc") ? undefined : "narrows a line by tc, which is not there");

/** Also what a run that was killed has left. */
const remove = () => quietly("ip", "netns", "del", space);

function quietly(command: string, ...args: string[]): void {
  try {
    run(command, ...args);
  } catch {
    // It is not there.
  }
}
