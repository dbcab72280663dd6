import type { Redis } from "ioredis";

type Content = string | string[] | Record<string, string>;

/**
 * All that a server holds: strings as they are, lists from head to tail, sets sorted, sorted sets as { member: score },
 * hashes as { field: value } with `msg` and `result` in hex, streams as "field=value …" an entry.
 */
export async function keyspace(redis: Redis): Promise<Record<string, Content>> {
  const keys = (await redis.keys("*"))
    .filter((key) => key !== "holdfast:schema" && !/^holdfast:(data|outages)/.test(key))
    .toSorted();
  return Object.fromEntries(await Promise.all(keys.map(async (key) => [key, await content(redis, key)] as const)));
}

async function content(redis: Redis, key: string): Promise<Content> {
  switch (await redis.type(key)) {
    case "string":
      return (await redis.get(key))!;
    case "list":
      return redis.lrange(key, 0, -1);
    case "set":
      return (await redis.smembers(key)).toSorted();
    case "zset":
      return pairs(await redis.zrange(key, 0, "-1", "WITHSCORES"));
    case "stream":
      return (await redis.xrange(key, "-", "+")).map(([, fields]) =>
        Object.entries(pairs(fields))
          .map((field) => field.join("="))
          .join(" "),
      );
    default: {
      const fields = Object.entries(await redis.hgetallBuffer(key));
      const binary = (name: string) => name === "msg" || name === "result";
      return Object.fromEntries(fields.map(([name, value]) => [name, value.toString(binary(name) ? "hex" : "utf8")]));
    }
  }
}

function pairs(flat: readonly string[]): Record<string, string> {
  const record: Record<string, string> = {};
  for (let n = 0; n < flat.length; n += 2) record[flat[n]!] = flat[n + 1]!;
  return record;
}
