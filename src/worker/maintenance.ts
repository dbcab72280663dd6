import type { Maintaining, Working } from "../broker/broker.js";
import { loop } from "../core/loop.js";
import { tellBroker } from "../core/telemetry.js";
import type { ResolvedWorkerOptions } from "./options.js";

const batch = 500;
const pruneEveryMs = 8_000;
/** Promotion looks at least this often: another process may have scheduled something that is due sooner. */
const promoteEveryMs = 1_000;

/** Three loops that every worker runs for its queues: what is due, whose worker died, what has expired. */
export async function maintain(
  broker: Working & Maintaining,
  options: ResolvedWorkerOptions,
  signal: AbortSignal,
  nudge: () => void,
): Promise<void> {
  const { clock, label } = broker;
  const queues = options.queues.map((queue) => queue.name);
  const failed = (what: string) => (error: unknown) => options.log.warn({ error }, `${what} failed; trying again`);

  const promote = async () => {
    const { moved, nextDueMs } = await broker.promote(queues, batch, clock.nowMs());
    if (moved > 0) {
      tellBroker({ event: "promoted", broker: label, count: moved });
      nudge();
    }
    if (moved === batch) return 0;
    const untilDueMs = nextDueMs === undefined ? promoteEveryMs : nextDueMs - clock.nowMs();
    return Math.min(promoteEveryMs, Math.max(10, untilDueMs));
  };
  const reclaim = async () => {
    const receipts = await broker.reclaim(queues, batch, clock.nowMs());
    for (const { queue, id, to } of receipts) tellBroker({ event: "reclaimed", broker: label, queue, id, to });
    if (receipts.length > 0) nudge();
    return receipts.length === batch ? 0 : undefined;
  };
  const prune = async () => {
    const count = await broker.prune(queues, batch, clock.nowMs());
    if (count > 0) tellBroker({ event: "pruned", broker: label, count });
    return count === batch ? 0 : undefined;
  };

  const reclaimEveryMs = Math.min(5_000, Math.max(1_000, options.leaseDurationMs / 6));
  await Promise.all([
    loop(promote, { everyMs: promoteEveryMs, signal, onError: failed("promoting scheduled tasks") }),
    loop(reclaim, { everyMs: reclaimEveryMs, signal, onError: failed("reclaiming leases that ran out") }),
    loop(prune, { everyMs: pruneEveryMs, signal, onError: failed("pruning completed tasks") }),
  ]);
}
