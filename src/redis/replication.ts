import type { Replication } from "../broker/standstill.js";
import { totalOf } from "./answers.js";
import { hostAndPort } from "./redis-url.js";

/** What INFO says of a master's replicas: `slave0:ip=…,port=…,state=online,offset=…,lag=…`. */
export function replicationOf(server: string, info: Readonly<Record<string, string>>): Replication {
  const replicas = Object.entries(info)
    .filter(([name]) => /^slave\d+$/.test(name))
    .map(([, line]) => {
      const fields = Object.fromEntries(line.split(",").map((field) => field.split("=", 2) as [string, string]));
      const at = hostAndPort({ host: fields["ip"] ?? "", port: Number(fields["port"]) });
      const [offset, silentS] = [totalOf(fields["offset"]), totalOf(fields["lag"])];
      return { server: at, online: fields["state"] === "online", offset, silentS };
    });
  return { server, offset: totalOf(info["master_repl_offset"]), replicas };
}
