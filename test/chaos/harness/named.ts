import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RedisServer, type ServerOptions } from "../../support/redis-server.js";
import { until } from "../../support/until.js";
import type { Stage } from "./scene.js";

const name = "tasks.holdfast.test";

/** A master that is known by its name alone, and a replica at another address to which the name can be moved. */
export class Named implements AsyncDisposable {
  readonly master: RedisServer;
  readonly replica: RedisServer;
  readonly #hosts: string;
  readonly #node: string;
  #now: RedisServer;

  static async start(folder: string, config: NonNullable<ServerOptions["config"]>): Promise<Named> {
    const master = await RedisServer.start({ config });
    const { port } = master;
    const follows = { replicaof: `127.0.0.1 ${port}` };
    const replica = await RedisServer.start({ config: { ...config, ...follows }, host: "127.0.0.2", port });
    await until("the replica follows", async () => (await replica.admin.info()).includes("master_link_status:up"));
    return new Named(folder, master, replica);
  }

  private constructor(folder: string, master: RedisServer, replica: RedisServer) {
    this.master = master;
    this.replica = replica;
    this.#now = master;
    this.#hosts = join(folder, "hosts");
    this.#node = join(folder, "node");
    this.#point();
    // Producers and workers see this file in place of the machine's own.
    const inside = 'mount --bind "$0" /etc/hosts && exec "$@"';
    const script = `#!/bin/sh\nexec unshare --mount sh -c '${inside}' '${this.#hosts}' '${process.execPath}' "$@"\n`;
    writeFileSync(this.#node, script);
    chmodSync(this.#node, 0o755);
  }

  /** By hand: the replica is made the master, the name moves, and the old one is taken down. */
  async move(): Promise<void> {
    await this.replica.admin.replicaof("NO", "ONE");
    this.#now = this.replica;
    this.#point();
    await this.master.kill();
  }

  stage(): Stage {
    return {
      url: `redis://${name}:${this.master.port}`,
      named: this,
      node: this.#node,
      holder: () => Promise.resolve(this.#now.admin),
      [Symbol.asyncDispose]: () => this[Symbol.asyncDispose](),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.master.stop(), this.replica.stop()]);
  }

  #point(): void {
    writeFileSync(this.#hosts, `127.0.0.1 localhost\n${this.#now.host} ${name}\n`);
  }
}
