import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import type { QueueState, StoredTask } from "../../history/events.js";
import { readStrictly, type StrictMessage } from "../../support/strict-protobuf.js";

const zsets = ["scheduled", "retry", "completed"] as const;

/** What a server holds of a queue, read by its keys and without Holdfast's code. */
export async function scanQueue(redis: Redis, name: string): Promise<QueueState> {
  const [asynq, ours] = [`asynq:{${name}}:`, `holdfast:{${name}}:`];
  const keys = await redis.keys(`*:{${name}}:*`);
  const list = (key: string) => redis.lrange(key, 0, -1);
  const sorted = (key: string) => redis.zrange(key, 0, "-1");
  const places: Record<string, readonly string[]> = {
    pending: await list(`${asynq}pending`),
    active: await list(`${asynq}active`),
    archived: [...(await sorted(`${asynq}archived`)), ...(await sorted(`${ours}archived`))],
    broken: await list(`${ours}broken`),
  };
  for (const place of zsets) places[place] = await sorted(asynq + place);
  const ids = keys.filter((key) => key.startsWith(`${asynq}t:`)).map((key) => key.slice(asynq.length + 2));
  const locks: Record<string, string> = {};
  for (const key of keys.filter((one) => one.startsWith(`${asynq}unique:`))) locks[key] = (await redis.get(key)) ?? "";
  return {
    name,
    places,
    leases: await sorted(`${asynq}lease`),
    holders: await redis.hkeys(`${ours}leases`),
    tasks: await Promise.all(ids.map((id) => readTask(redis, `${asynq}t:${id}`, id))),
    locks,
    processed: Number(await redis.get(`${asynq}processed`)),
    failed: Number(await redis.get(`${asynq}failed`)),
  };
}

async function readTask(redis: Redis, key: string, id: string): Promise<StoredTask> {
  const fields = await redis.hgetallBuffer(key);
  const { payload, numbers } = readOr(fields["msg"]);
  const failure = fields["hf_failure"];
  return {
    id,
    state: fields["state"]?.toString() ?? "",
    k: payload.toString().split("|")[0]!,
    hash: createHash("sha1").update(payload).digest("hex"),
    retried: Number(numbers.get(6) ?? 0),
    maxRetry: Number(numbers.get(5) ?? 0),
    ...(failure === undefined ? {} : { reason: (JSON.parse(failure.toString()) as { reason: string }).reason }),
  };
}

/** What nobody can read belongs to no call. */
function readOr(message: Buffer | undefined): Pick<StrictMessage, "payload" | "numbers"> {
  try {
    return readStrictly(message ?? Buffer.alloc(0));
  } catch {
    return { payload: Buffer.from("unreadable"), numbers: new Map() };
  }
}

/** How much of it is still to be done: what waits, runs, or is due some day. */
export async function unfinished(redis: Redis, name: string): Promise<number> {
  const counts = await Promise.all([
    redis.llen(`asynq:{${name}}:pending`),
    redis.llen(`asynq:{${name}}:active`),
    redis.zcard(`asynq:{${name}}:scheduled`),
    redis.zcard(`asynq:{${name}}:retry`),
  ]);
  return counts.reduce((sum, count) => sum + count, 0);
}
