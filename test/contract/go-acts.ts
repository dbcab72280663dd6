import type { Redis } from "ioredis";
import { archivedKey, pendingKey, taskKey } from "../../src/redis/keys.js";

/** What asynq's inspector and its worker do to tasks, key by key, as test/interop/go/traces.json has it: our keys they do not know. */
export const goActs = (redis: Redis, queue: string) => {
  const [archived, pending] = [archivedKey(queue), pendingKey(queue)];
  return {
    deleteArchived: async (id: string) => void (await redis.multi().zrem(archived, id).del(taskKey(queue, id)).exec()),

    runArchived: async (id: string) =>
      void (await redis
        .multi()
        .zrem(archived, id)
        .lpush(pending, id)
        .hset(taskKey(queue, id), "state", "pending")
        .exec()),

    /** And trims the archive, of which it deletes the oldest without a word; it keeps 9,999. */
    async archivePending(id: string, atS: number, keepMost: number): Promise<void> {
      await redis
        .multi()
        .lrem(pending, 1, id)
        .hset(taskKey(queue, id), "state", "archived")
        .zadd(archived, atS, id)
        .exec();
      const old = await redis.zrange(archived, 0, `${-keepMost - 1}`);
      if (old.length > 0) await redis.del(...old.map((one) => taskKey(queue, one)));
      if (old.length > 0) await redis.zrem(archived, ...old);
    },
  };
};
