import { afterEach } from "vitest";
import { type CallOutcome, HoldfastError } from "../../src/core/errors.js";
import { silent } from "../../src/core/log.js";
import type { NewTask } from "../../src/core/message.js";
import { LocalSpool, type LocalSpoolOptions } from "../../src/spool/local-spool.js";
import { newTask } from "./builders.js";
import { MemorySpoolStore } from "./memory-spool-store.js";
import { MoodyStorage } from "./moody-storage.js";
import { until } from "./until.js";

export const away = (outcome: CallOutcome = "notSent") =>
  new HoldfastError("BROKER_UNAVAILABLE", { broker: "test", problem: "away", outcome, taskIds: [] });
export const failed = () => new HoldfastError("BROKER_FAILED", { broker: "test", problem: "a key is in the way" });

export const ids = (count: number, prefix = "") => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

export const pace = { awayMs: 10, longestAwayMs: 40, failedMs: 10, longestFailedMs: 40, parkAfter: 4 };

/** Opens spools on storages of their own, which are closed after each test of the suite. */
export function localSpools() {
  const spools: LocalSpool[] = [];
  afterEach(async () => {
    await Promise.all(spools.splice(0).map((spool) => spool.close()));
  });
  return (options: Partial<LocalSpoolOptions> = {}) => {
    const store = new MemorySpoolStore();
    const storage = new MoodyStorage();
    const spool = new LocalSpool(storage, {
      directory: "memory",
      openStore: async () => store,
      log: silent,
      pace,
      ...options,
    });
    spools.push(spool);
    const accept = (tasks: readonly (string | NewTask)[], nowMs = storage.clock.nowMs()) =>
      spool.accept(
        tasks.map((task) => (typeof task === "string" ? newTask({ id: task }) : task)),
        nowMs,
      );
    const empty = () => until("the spool is empty", () => store.tasks.length === 0);
    return { store, storage, spool, accept, empty };
  };
}
