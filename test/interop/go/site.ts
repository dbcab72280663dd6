import { type Broker, connect, defineTask, Inspector, rawBytes, type TaskRequest } from "../../../src/index.js";
import { RedisServer } from "../../support/redis-server.js";
import { type GoTask, Witness } from "./witness.js";

/** A Redis server with a Go process and a broker of ours on it. */
export class Site {
  readonly server: RedisServer;
  readonly go: Witness;
  readonly broker: Broker;
  readonly inspector: Inspector;

  static async open(): Promise<Site> {
    const server = await RedisServer.start();
    return new Site(server, await Witness.start(server));
  }

  private constructor(server: RedisServer, go: Witness) {
    this.server = server;
    this.go = go;
    this.broker = connect(server.url);
    this.inspector = new Inspector(this.broker);
  }

  async close(): Promise<void> {
    await this.go.kill();
    await this.broker.close();
    await this.server.stop();
  }
}

/** The same task for our client. */
export function ours(task: GoTask): TaskRequest<undefined> | TaskRequest<Uint8Array> {
  const { type, payload, processAtMs, processInMs, deadlineMs, timeoutMs, uniqueMs, retentionMs, ...options } = task;
  const given = {
    ...options,
    ...(processAtMs === undefined ? {} : { processAt: new Date(processAtMs) }),
    ...(processInMs === undefined ? {} : { processIn: `${processInMs}ms` as const }),
    ...(deadlineMs === undefined ? {} : { deadline: new Date(deadlineMs) }),
    ...(timeoutMs === undefined ? {} : { timeout: `${timeoutMs}ms` as const }),
    ...(uniqueMs === undefined ? {} : { unique: `${uniqueMs}ms` as const }),
    ...(retentionMs === undefined ? {} : { retention: `${retentionMs}ms` as const }),
  };
  return payload === undefined
    ? defineTask(type)(undefined, given)
    : defineTask<Uint8Array>(type, { codec: rawBytes })(payload ?? new Uint8Array(0), given);
}
