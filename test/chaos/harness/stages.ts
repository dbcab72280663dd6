import { keysOf } from "../../../src/redis/keys.js";
import { FaultProxy } from "../../support/fault-proxy.js";
import { RedisCluster } from "../../support/redis-cluster.js";
import { RedisSentinels } from "../../support/redis-sentinels.js";
import { RedisServer, type ServerOptions } from "../../support/redis-server.js";
import { ClusterHosts } from "./cluster-hosts.js";
import { Hosts } from "./hosts.js";
import { Line } from "./line.js";
import { Named } from "./named.js";
import type { Row } from "./row.js";
import type { Stage } from "./scene.js";

/**
 * What is acknowledged is in the kernel's hands, and kill -9 loses none of it. With "everysec" that is not so: while an fsync
 * is under way the next write waits for it, for up to 2 s, and its acknowledgement does not.
 */
const durable = { appendonly: "yes", appendfsync: "no", "enable-debug-command": "yes" };

export async function stageOf(
  { stage = "server", server }: Pick<Row, "stage" | "server">,
  folder: string,
): Promise<Stage> {
  switch (stage) {
    case "server":
      return serverStage(server?.(folder));
    case "sentinel":
      return sentinelStage();
    case "cluster":
      return clusterStage();
    case "hosts":
      return (await Hosts.start(folder)).stage();
    case "clusterHosts":
      return (await ClusterHosts.start(folder)).stage();
    case "line":
      return (await Line.start(folder)).stage();
    case "named":
      return (await Named.start(folder, durable)).stage();
  }
}

/** One server with an append-only file, and a proxy before it. */
async function serverStage({ config, env = {} }: Pick<ServerOptions, "config" | "env"> = {}): Promise<Stage> {
  const server = await RedisServer.start({ config: { ...durable, ...config }, env });
  const proxy = await FaultProxy.to(server.port);
  return {
    url: proxy.url,
    server,
    proxy,
    holder: () => Promise.resolve(server.admin),
    async [Symbol.asyncDispose]() {
      await proxy.refuse();
      await server.stop();
    },
  };
}

/** A master, its replica, and three Sentinels. */
async function sentinelStage(): Promise<Stage> {
  const sentinels = await RedisSentinels.start({ data: durable });
  return {
    url: sentinels.url,
    sentinels,
    async holder() {
      const living = firstOf(sentinels.sentinels);
      const [, port] = (await living.admin.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "tasks")) as [string, string];
      return [sentinels.master, sentinels.replica].find((one) => one.port === Number(port))!.admin;
    },
    [Symbol.asyncDispose]: () => sentinels.stop(),
  };
}

/** Three masters; the one that has most of the work has a replica. */
async function clusterStage(): Promise<Stage> {
  const config = { ...durable, "cluster-require-full-coverage": "no", "cluster-node-timeout": "2000" };
  const cluster = await RedisCluster.start(3, config);
  const replica = await cluster.addReplica(keysOf("default").asynq);
  return {
    url: cluster.url,
    cluster,
    replica,
    async holder(queue) {
      const nodes = [...cluster.masters, replica].filter(({ running }) => running);
      for (const { admin } of nodes) {
        const isMaster = (await admin.role())[0] === "master";
        // Who has not got the slot says so.
        if (isMaster && (await admin.exists(keysOf(queue).asynq).catch(() => -1)) >= 0) return admin;
      }
      throw new Error(`nobody has the slot of ${queue}`);
    },
    [Symbol.asyncDispose]: () => cluster.stop(),
  };
}

function firstOf(servers: readonly RedisServer[]): RedisServer {
  const living = servers.find(({ running }) => running);
  if (living === undefined) throw new Error("no Sentinel runs");
  return living;
}
