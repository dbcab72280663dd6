import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

const program = "redis-server";

export const redisFound = (): boolean => spawnSync(program, ["--version"]).status === 0;

/**
 * A Redis of our own, to be killed: its data in a folder, fsynced before it answers, and reached by a socket there, so that
 * no port is taken and no other user gets in.
 */
export class PrivateRedis implements AsyncDisposable {
  readonly #folder: string;
  #process: ChildProcess | undefined;

  static async start(folder: string): Promise<PrivateRedis> {
    await mkdir(folder, { recursive: true });
    const redis = new PrivateRedis(folder);
    redis.start();
    return redis;
  }

  private constructor(folder: string) {
    this.#folder = folder;
  }

  get url(): string {
    return `redis-socket://${join(this.#folder, "redis.sock")}`;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Again, on the data that are there. It answers a moment later. */
  start(): void {
    const config = {
      port: "0",
      unixsocket: join(this.#folder, "redis.sock"),
      unixsocketperm: "700",
      dir: this.#folder,
      appendonly: "yes",
      appendfsync: "always",
      save: "",
    };
    const args = Object.entries(config).flatMap(([name, value]) => [`--${name}`, value]);
    this.#process = spawn(program, args, { stdio: "ignore" });
  }

  /** kill -9, and wait until it is gone. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}
