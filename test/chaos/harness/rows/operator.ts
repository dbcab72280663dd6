import type { Row } from "../row.js";

/** What operators do, on purpose or not. */
export const operatorRows: readonly Row[] = [
  {
    row: 56,
    name: "broken entries among the tasks",
    holdMs: 2_000,
    async inject({ admin }) {
      const key = (name: string) => `asynq:{default}:${name}`;
      await admin.hset(key("t:planted-1"), { msg: "no task", state: "pending" });
      await admin.rpush(key("pending"), "planted-1", "planted-ghost");
      await admin.zadd(key("lease"), 1, "planted-leased");
      await admin.lpush(key("active"), "planted-active");
      await admin.zadd(key("retry"), 1, "planted-due");
      await admin.zadd(key("scheduled"), 1, "planted-due-too");
    },
  },
  {
    row: 58,
    name: "everything restarted, one after the other",
    holdMs: 500,
    recoverMs: 10_000,
    async inject({ children, server }) {
      for (const child of [...children.workers, ...children.producers]) {
        await children.stop(child);
        await children.add(child.kind, child.spawned);
      }
      await server.admin.shutdown().catch(() => undefined);
      await server.kill();
      await server.start();
    },
  },
  {
    row: 59,
    name: "FLUSHALL",
    holdMs: 500,
    loses: "the data is gone",
    alwaysLoses: true,
    async inject(scene) {
      scene.forgets("FLUSHALL");
      await scene.admin.flushall();
    },
  },
];
