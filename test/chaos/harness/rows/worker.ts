import { nothingTwice, runsAgain } from "../besides.js";
import type { Child } from "../children.js";
import type { Row } from "../row.js";
import type { Scene } from "../scene.js";

const enqueue = ({ children }: Scene, plan: string, count: number, ms = 0) =>
  children.producers[0]!.process.send({ do: "enqueue", plan, count, ms });
const anyWorker = (scene: Scene): Child => scene.anyOf(scene.children.workers);

/** What becomes of the workers' processes. */
export const workerRows: readonly Row[] = [
  {
    row: 44,
    name: "a worker killed with -9",
    holdMs: 500,
    // With leases of 30 s it is 40 s.
    holds: runsAgain(15_000, 10),
    inject: (scene) => scene.children.replace(anyWorker(scene)),
  },
  {
    row: 45,
    name: "a worker frozen for longer than a lease",
    holdMs: 12_000,
    inject(scene) {
      const worker = anyWorker(scene);
      scene.children.freeze(worker);
      scene.undo.push(() => scene.children.thaw(worker));
    },
  },
  {
    row: 46,
    name: "a handler blocks the event loop for longer than a lease",
    holdMs: 9_000,
    holds: nothingTwice,
    inject: (scene) => void enqueue(scene, "block", 1, 8_000),
  },
  {
    row: 47,
    name: "a worker out of its heap",
    holdMs: 500,
    holds: runsAgain(15_000, 10),
    async inject(scene) {
      const worker = await scene.children.add("worker", { heapMb: 64 });
      const feeding = setInterval(() => enqueue(scene, "hog", 20), 200);
      await scene.children.replace(worker, "itself").finally(() => clearInterval(feeding));
    },
  },
  {
    row: 48,
    name: "SIGTERM, then SIGKILL before it is done",
    holdMs: 500,
    async inject(scene) {
      enqueue(scene, "plain", 30, 4_000);
      const worker = anyWorker(scene);
      await new Promise((resolve) => setTimeout(resolve, 500));
      await scene.children.stop(worker, 1_500);
      await scene.children.add("worker", worker.spawned);
    },
  },
  {
    row: 57,
    name: "three at once: out of memory, replies lost, a worker killed",
    holdMs: 2_000,
    async inject(scene) {
      const used = Number(/used_memory:(\d+)/.exec(await scene.admin.info("memory"))![1]);
      await scene.admin.config("SET", "maxmemory", `${used - 600_000}`);
      scene.proxy.set({ kind: "dropReplies" });
      await scene.children.replace(anyWorker(scene));
    },
    async heal(scene) {
      await scene.admin.config("SET", "maxmemory", "0");
      scene.proxy.set({ kind: "pass" });
      scene.proxy.reset();
    },
  },
];
