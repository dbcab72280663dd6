import { HoldfastError } from "../core/errors.js";
import { loop } from "../core/loop.js";
import { tellBroker } from "../core/telemetry.js";
import type { ResolvedWorkerOptions, WorkerBroker } from "./options.js";
import type { Watch } from "./watch.js";

const batch = 500;
/** Often enough that Go workers, who trim the archive, do not fill it between two looks (docs/decisions, 11). */
const pruneEveryMs = 1_000;
/** A call that is later than this was held up by more than a busy machine. */
const patienceMs = 1_500;
/** Promotion looks at least this often: another process may have scheduled something that is due sooner. */
const promoteEveryMs = 1_000;

/** Three loops that every worker runs for its queues: what is due, whose worker died, what has expired. */
export async function maintain(
  broker: WorkerBroker,
  options: ResolvedWorkerOptions,
  watch: Watch,
  signal: AbortSignal,
  nudge: () => void,
): Promise<void> {
  const { clock, label } = broker;
  const { log, leaseDurationMs } = options;
  const queues = options.queues.map((queue) => queue.name);

  /** A step of a loop; an outage is told by the watch. */
  const step = (what: string, work: (call: <T>(make: () => Promise<T>) => Promise<T>) => Promise<number | void>) => {
    const call = async <T>(make: () => Promise<T>) => watch.call(what, make);
    return async () => {
      try {
        return await work(call);
      } catch (error) {
        if (!HoldfastError.is(error, "BROKER_UNAVAILABLE")) log.warn({ error }, `${what} failed; trying again`);
        return undefined;
      }
    };
  };

  const promote = step("promoting scheduled tasks", async (call) => {
    const { moved, nextDueMs } = await call(() => broker.promote(queues, batch, clock.nowMs()));
    if (moved > 0) {
      tellBroker({ event: "promoted", broker: label, count: moved });
      nudge();
    }
    if (moved === batch) return 0;
    const untilDueMs = nextDueMs === undefined ? promoteEveryMs : nextDueMs - clock.nowMs();
    return Math.min(promoteEveryMs, Math.max(10, untilDueMs));
  });

  /** The first look counts as one after a silence: who starts while storage comes back does not know that it was away. */
  let answeredAtMs = Number.NEGATIVE_INFINITY;
  /** How far the clock is ahead of the time that has really passed; a jump is a clock set right, or a machine that slept. */
  const aheadMs = () => clock.nowMs() - performance.now();
  let aheadOnceMs = aheadMs();
  const reclaim = step("reclaiming leases that ran out", async (call) => {
    const silentMs = performance.now() - answeredAtMs;
    const jumpMs = aheadMs() - aheadOnceMs;
    aheadOnceMs += jumpMs;
    if (silentMs > reclaimEveryMs + patienceMs || jumpMs > patienceMs) {
      // Storage, this process or its machine was away. Leases of workers that live have run out meanwhile: they come first.
      await call(() => broker.ping());
      const graceMs = leaseDurationMs / 3 + patienceMs;
      answeredAtMs = performance.now() + graceMs;
      return graceMs;
    }
    const receipts = await call(() => broker.reclaim(queues, batch, clock.nowMs()));
    answeredAtMs = performance.now();
    for (const { queue, id, to } of receipts) tellBroker({ event: "reclaimed", broker: label, queue, id, to });
    if (receipts.length > 0) nudge();
    return receipts.length === batch ? 0 : undefined;
  });

  const prune = step("pruning completed tasks", async (call) => {
    const count = await call(() => broker.prune(queues, batch, clock.nowMs()));
    if (count > 0) tellBroker({ event: "pruned", broker: label, count });
    return count === batch ? 0 : undefined;
  });

  const reclaimEveryMs = Math.min(5_000, Math.max(1_000, leaseDurationMs / 6));
  const onError = (error: unknown) => log.error({ error }, "maintenance failed");
  await Promise.all([
    loop(promote, { everyMs: promoteEveryMs, signal, onError }),
    loop(reclaim, { everyMs: reclaimEveryMs, signal, onError }),
    loop(prune, { everyMs: pruneEveryMs, signal, onError }),
  ]);
}
