import { connectsPerSecond } from "../besides.js";
import type { Row } from "../row.js";
import type { Scene } from "../scene.js";

const set =
  (name: string, value: string) =>
  async ({ admin }: Scene) =>
    void (await admin.config("SET", name, value));

/** Everybody but us has to connect anew. */
const dropClients = ({ admin }: Scene) => admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");

/** Also for those that are connected. */
const setForAll = (name: string, value: string) => async (scene: Scene) => {
  await set(name, value)(scene);
  await dropClients(scene);
};

/** Again and again, until it is healed. */
function repeat(scene: Scene, everyMs: number, what: () => Promise<unknown>): void {
  const timer = setInterval(() => void what().catch(() => undefined), everyMs);
  scene.undo.push(() => clearInterval(timer));
}

/** A server that answers, and refuses. */
export const serverRows: readonly Row[] = [
  { row: 11, name: "sleeps for 3 s", holdMs: 3_000, inject: ({ admin }) => void admin.debug("SLEEP", "3") },
  {
    row: 12,
    name: "busy with a script",
    holdMs: 3_000,
    async inject({ admin }) {
      await admin.config("SET", "busy-reply-threshold", "200");
      const other = admin.duplicate();
      other.on("error", () => undefined);
      void other.eval("while true do end", 0).catch(() => other.disconnect());
    },
    heal: async ({ admin }) => void (await admin.script("KILL")),
  },
  {
    row: 14,
    name: "forgets its scripts",
    holdMs: 2_000,
    inject: (scene) => repeat(scene, 100, () => scene.admin.script("FLUSH")),
  },
  {
    row: 15,
    name: "out of memory",
    holdMs: 3_000,
    async inject({ admin }) {
      const used = Number(/used_memory:(\d+)/.exec(await admin.info("memory"))![1]);
      await admin.config("SET", "maxmemory-policy", "noeviction");
      await admin.config("SET", "maxmemory", `${used - 600_000}`);
    },
    heal: set("maxmemory", "0"),
  },
  {
    row: 16,
    name: "allowed to evict",
    holdMs: 2_000,
    inject: set("maxmemory-policy", "allkeys-lru"),
    alarm: "evicting",
    heal: set("maxmemory-policy", "noeviction"),
  },
  {
    row: 17,
    name: "turned into a replica",
    holdMs: 2_000,
    inject: async ({ admin }) => void (await admin.replicaof("127.0.0.1", "1")),
    heal: async ({ admin }) => void (await admin.replicaof("NO", "ONE")),
  },
  {
    row: 18,
    name: "a replica without its master",
    holdMs: 2_000,
    async inject({ admin }) {
      await admin.config("SET", "replica-serve-stale-data", "no");
      await admin.replicaof("127.0.0.1", "1");
    },
    async heal({ admin }) {
      await admin.replicaof("NO", "ONE");
      await admin.config("SET", "replica-serve-stale-data", "yes");
    },
  },
  {
    row: 21,
    name: "CLIENT PAUSE WRITE",
    holdMs: 2_000,
    inject: async ({ admin }) => void (await admin.call("CLIENT", "PAUSE", "2000", "WRITE")),
  },
  {
    row: 22,
    name: "kills all connections every 50 ms",
    holdMs: 3_000,
    inject: (scene) => repeat(scene, 50, () => dropClients(scene)),
  },
  {
    row: 23,
    name: "takes no more clients",
    holdMs: 3_000,
    holds: connectsPerSecond(5),
    async inject(scene) {
      const { connections } = scene.proxy;
      await setForAll("maxclients", "1")(scene);
      const [opened, fromMs] = [scene.proxy.opened, performance.now()];
      scene.undo.push(() =>
        scene.journal.say({
          e: "connects",
          count: scene.proxy.opened - opened,
          inPlaceOf: connections,
          withinMs: performance.now() - fromMs,
        }),
      );
    },
    heal: set("maxclients", "10000"),
  },
  {
    row: 24,
    name: "wants a password all at once",
    holdMs: 2_000,
    inject: setForAll("requirepass", "changed"),
    heal: set("requirepass", ""),
  },
  {
    row: 124,
    name: "takes away the right to run scripts",
    holdMs: 2_000,
    inject: async ({ admin }) => void (await admin.call("ACL", "SETUSER", "default", "-evalsha", "-eval")),
    heal: async ({ admin }) => void (await admin.call("ACL", "SETUSER", "default", "+@all")),
  },
];
