import type { DayStats, StorageInfo } from "../../core/info.js";
import { inTrips } from "../../core/portions.js";
import type { Broker, Inspector, QueueInfo, UnavailableQueue } from "../../index.js";

const queuesPerCall = 1_000;

/** One look at everything. */
export interface Stats {
  readonly atMs: number;
  readonly label: string;
  readonly storage: StorageInfo;
  readonly queues: readonly QueueStats[];
  /** Those that could not be asked. */
  readonly unavailable: readonly UnavailableQueue[];
}

export interface QueueStats {
  readonly queue: QueueInfo;
  readonly today: Pick<DayStats, "processed" | "failed">;
}

export async function lookAt(broker: Broker, inspector: Inspector): Promise<Stats> {
  const [queues, storage] = await Promise.all([inspector.queues(), inspector.storage()]);
  const names = queues.map(({ name }) => name);
  const history = await inTrips(names, queuesPerCall, (some) => inspector.history(some, 1));
  return {
    atMs: broker.clock.nowMs(),
    label: broker.label,
    storage,
    queues: queues.map((queue, i) => ({ queue, today: history[i]?.[0] ?? { processed: 0, failed: 0 } })),
    unavailable: queues.unavailable,
  };
}
