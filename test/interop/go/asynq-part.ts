import type { Redis } from "ioredis";
import { decodeMessage } from "../../../src/core/codec.js";
import { decodeRunning, decodeServer } from "../../../src/core/worker-codec.js";
import { withoutServer } from "./trace.js";

/**
 * What asynq knows of a server's content, in a form that is equal for equal work: our own keys and fields are left out,
 * times are replaced by a word, messages are decoded, and what expires is marked so.
 */
export async function asynqPart(redis: Redis): Promise<Record<string, unknown>> {
  const keys = (await redis.keys("asynq:*")).toSorted();
  const entries = await Promise.all(keys.map(async (key) => [nameOf(key), await content(redis, key)] as const));
  return Object.fromEntries(entries);
}

const nameOf = (key: string) => withoutServer(key).replace(/:\d{4}-\d\d-\d\d$/, ":<day>");

async function content(redis: Redis, key: string): Promise<unknown> {
  const found = await contentOf(redis, key);
  return (await redis.ttl(key)) === -1 ? found : { expires: found };
}

async function contentOf(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case "string":
      if (key.startsWith("asynq:servers:")) return server(key, (await redis.getBuffer(key))!);
      return key.endsWith(":paused") ? time : redis.get(key);
    case "list":
      return redis.lrange(key, 0, -1);
    case "set":
      return (await redis.smembers(key)).toSorted();
    case "zset":
      return Object.fromEntries((await redis.zrange(key, 0, "-1")).toSorted().map((id) => [withoutServer(id), time]));
    default:
      if (key.startsWith("asynq:workers:")) return running(key, await redis.hgetallBuffer(key));
      return task(await redis.hgetallBuffer(key));
  }
}

const time = "<time>";
function task(fields: Record<string, Buffer>): Record<string, unknown> {
  const told = Object.entries(fields).filter(([name]) => !name.startsWith("hf_"));
  return Object.fromEntries(
    told.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => [name, fieldOf(name, value)]),
  );
}

function fieldOf(name: string, value: Buffer): unknown {
  if (name === "msg") return message(value);
  if (name === "result") return value.toString("hex");
  if (name === "pending_since") return /^\d{19}$/.test(value.toString()) ? time : value.toString();
  return value.toString();
}

/** What a server says of itself. */
function server(key: string, stored: Buffer): Record<string, unknown> {
  const { host, pid, serverId, startedAtNs, ...others } = decodeServer(stored);
  return { ...others, startedAt: startedAtNs > 0n ? time : startedAtNs, ...speaker(key, host, pid, serverId) };
}

/** … and of the tasks that it runs. */
function running(key: string, fields: Record<string, Buffer>): Record<string, unknown> {
  const told = Object.entries(fields).map(([id, stored]) => {
    const { host, pid, serverId, startedAtNs, deadlineNs, payload, ...others } = decodeRunning(stored);
    const limitS = Math.round(Number(deadlineNs - startedAtNs) / 1e9);
    const shown = { payload: payload && Buffer.from(payload).toString("hex"), limitS, startedAt: time };
    return [id, { ...others, ...shown, ...speaker(key, host, pid, serverId) }] as const;
  });
  return Object.fromEntries(told.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Who says it is who the key says it is. */
const speaker = (key: string, host: string, pid: number, serverId: string) =>
  key.endsWith(`{${host}:${pid}:${serverId}}`) ? {} : { says: `${host}:${pid}:${serverId}` };

/** What is set in it. */
function message(bytes: Buffer): Record<string, unknown> {
  const { payload, lastFailedAtMs, completedAtMs, headers, ...others } = decodeMessage(bytes);
  const told = {
    ...others,
    payload: Buffer.from(payload).toString("hex"),
    lastFailedAt: lastFailedAtMs === 0 ? "" : time,
    completedAt: completedAtMs === 0 ? "" : time,
  };
  const set = Object.entries(told).filter(([, value]) => value !== "" && value !== 0);
  return { ...Object.fromEntries(set), ...(Object.keys(headers).length === 0 ? {} : { headers }) };
}
