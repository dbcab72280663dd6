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

const today = () => new Date().toISOString().slice(0, 10);
const nameOf = (key: string) => key.replace(today(), "<today>");

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
const orNone = (ms: number) => (ms === 0 ? "none" : time);

function task(fields: Record<string, Buffer>): Record<string, unknown> {
  const { msg, pending_since: since, result, ...others } = fields;
  const texts = Object.entries(others).filter(([name]) => !name.startsWith("hf_"));
  return {
    ...Object.fromEntries(texts.map(([name, value]) => [name, value.toString()])),
    ...(msg === undefined ? {} : { msg: message(msg) }),
    ...(since === undefined ? {} : { pending_since: /^\d{19}$/.test(since.toString()) ? time : since.toString() }),
    ...(result === undefined ? {} : { result: result.toString("hex") }),
  };
}

function message(bytes: Buffer) {
  const decoded = decodeMessage(bytes);
  return {
    ...decoded,
    payload: Buffer.from(decoded.payload).toString("hex"),
    lastFailedAtMs: orNone(decoded.lastFailedAtMs),
    completedAtMs: orNone(decoded.completedAtMs),
  };
}
