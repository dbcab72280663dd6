import type { Redis } from "ioredis";
import { decodeMessage } from "../../../src/core/codec.js";

/**
 * What asynq knows of a server's content, in a form that is equal for equal work: our own keys and fields are left out,
 * times are replaced by a word, messages are decoded, and what expires is marked so.
 */
export async function asynqPart(redis: Redis): Promise<Record<string, unknown>> {
  const keys = (await redis.keys("asynq:*")).toSorted();
  const entries = await Promise.all(keys.map(async (key) => [nameOf(key), await content(redis, key)] as const));
  return Object.fromEntries(entries);
}

const nameOf = (key: string) => key.replace(/:\d{4}-\d\d-\d\d$/, ":<day>");

async function content(redis: Redis, key: string): Promise<unknown> {
  const found = await contentOf(redis, key);
  return (await redis.ttl(key)) === -1 ? found : { expires: found };
}

async function contentOf(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case "string":
      return key.endsWith(":paused") ? time : redis.get(key);
    case "list":
      return redis.lrange(key, 0, -1);
    case "set":
      return (await redis.smembers(key)).toSorted();
    case "zset":
      return Object.fromEntries((await redis.zrange(key, 0, "-1")).toSorted().map((id) => [id, time]));
    default:
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
