import type { Redis } from "ioredis";

/** Bytes as text that loses nothing, for keys and values that may be anything. */
export const raw = (text: string): string => Buffer.from(text).toString("latin1");
export const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

/** All of it in Latin-1. */
export type Content =
  | { readonly type: "string"; readonly value: string }
  /** Our own record of what operators did. */
  | { readonly type: "stream"; readonly length: number }
  | { readonly type: "list" | "set"; readonly members: readonly string[] }
  | { readonly type: "zset"; readonly scores: ReadonlyMap<string, string> }
  | { readonly type: "hash"; readonly fields: ReadonlyMap<string, string> };

export type Snapshot = ReadonlyMap<string, Content>;

const readers: Record<string, readonly [string, ...(string | number)[]]> = {
  string: ["GET"],
  list: ["LRANGE", 0, -1],
  set: ["SMEMBERS"],
  zset: ["ZRANGE", 0, -1, "WITHSCORES"],
  hash: ["HGETALL"],
  stream: ["XLEN"],
};

/** Every key of a server, byte for byte. */
export async function snapshot(redis: Redis): Promise<Snapshot> {
  const keys = (await redis.callBuffer("KEYS", "*")) as Buffer[];
  const types = (await piped(
    redis,
    keys.map((key) => ["TYPE", key]),
  )) as Buffer[];
  const values = await piped(
    redis,
    keys.map((key, n) => {
      const [name, ...rest] = readers[String(types[n])]!;
      return [name, key, ...rest];
    }),
  );
  return new Map(keys.map((key, n) => [key.toString("latin1"), contentOf(String(types[n]), values[n])]));
}

/** Commands in one round trip; their replies as Buffers. */
export async function piped(
  redis: Redis,
  commands: readonly (readonly [string, ...(string | number | Buffer)[]])[],
): Promise<unknown[]> {
  return Promise.all(commands.map(([name, ...args]) => redis.callBuffer(name, args)));
}

function contentOf(type: string, value: unknown): Content {
  if (type === "string") return { type, value: (value as Buffer).toString("latin1") };
  if (type === "stream") return { type, length: value as number };
  const flat = (value as Buffer[]).map((part) => part.toString("latin1"));
  if (type === "list" || type === "set") return { type, members: flat };
  const map = new Map<string, string>();
  for (let n = 0; n < flat.length; n += 2) map.set(flat[n]!, flat[n + 1]!);
  return type === "zset" ? { type, scores: map } : { type: "hash", fields: map };
}
