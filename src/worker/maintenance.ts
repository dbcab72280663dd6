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
/** A keeper tries again every 250 ms while storage is away: whatever the lease, it has renewed by then. */
const longestOutageGraceMs = 5_000;
/** Promotion looks at least this often: another process may have scheduled something that is due sooner. */
const promoteEveryMs = 1_000;
/** Failure groups are this far behind the dead letters. */
const groupEveryMs = 1_000;

export interface MaintenanceEvents {
  /** There may be something to lease now. */
  readonly onWork: () => void;
  /** Leases that ran out were looked for, or could not be; to wait for those who come first is no look. */
  readonly onReclaim: () => void;
}

/** Loops that every worker runs for its queues: what is due, whose worker died, what has expired, what died of what. */
export async function maintain(
  broker: WorkerBroker,
  options: ResolvedWorkerOptions,
  watch: Watch,
  until: AbortSignal,
  { onWork, onReclaim }: MaintenanceEvents,
): Promise<void> {
  const { clock, label } = broker;
  const { log, leaseDurationMs } = options;
  const queues = options.queues.map((queue) => queue.name);

  const closed = new AbortController();
  const signal = AbortSignal.any([until, closed.signal]);

  /** A step of a loop; an outage is told by the watch. */
  const step = (
    what: string,
    work: (call: <T>(make: () => Promise<T>) => Promise<T>) => Promise<number | void>,
    decides = false,
  ) => {
    const call = async <T>(make: () => Promise<T>) => watch.call(what, make, { decides });
    return async () => {
      try {
        return await work(call);
      } catch (error) {
        // The broker was closed under a running worker: its turns tell.
        if (HoldfastError.is(error, "CLOSED")) closed.abort();
        else if (!HoldfastError.is(error, "BROKER_UNAVAILABLE")) log.warn({ error }, `${what} failed; trying again`);
        return undefined;
      }
    };
  };

  const promote = step("promoting scheduled tasks", async (call) => {
    const { moved, nextDueMs } = await call(() => broker.promote(queues, batch, clock.nowMs()));
    if (moved > 0) {
      tellBroker({ event: "promoted", broker: label, count: moved });
      onWork();
    }
    if (moved === batch) return 0;
    const untilDueMs = nextDueMs === undefined ? promoteEveryMs : nextDueMs - clock.nowMs();
    return Math.min(promoteEveryMs, Math.max(10, untilDueMs));
  });

  /** The first look counts as one after a silence: who starts while storage comes back does not know that it was away. */
  let answeredAtMs = Number.NEGATIVE_INFINITY;
  /** Those who come first have had their time: however late this process is by now, because a handler blocked it, say. */
  let waited = false;
  /** How far the clock is ahead of the time that has really passed; a jump is a clock set right, or a machine that slept. */
  const aheadMs = () => clock.nowMs() - performance.now();
  let aheadOnceMs = aheadMs();
  /** How long to leave what ran out to the workers that live, ms; 0: no longer. */
  const graceMs = () => {
    // Whoever slept does not know it, and renews when a third of the lease has passed.
    if (aheadMs() - aheadOnceMs > patienceMs) return leaseDurationMs / 3 + patienceMs;
    if (waited || performance.now() - answeredAtMs <= reclaimEveryMs + patienceMs) return 0;
    return Math.min(leaseDurationMs / 3 + patienceMs, longestOutageGraceMs);
  };
  const reclaim = step(
    "reclaiming leases that ran out",
    async (call) => {
      const waitMs = graceMs();
      try {
        if (waitMs > 0) {
          // Storage, this process or its machine was away. Leases of workers that live have run out meanwhile: they come first.
          waited = false;
          await call(() => broker.ping());
          waited = true;
          aheadOnceMs = aheadMs();
          return waitMs;
        }
        waited = false;
        aheadOnceMs = aheadMs();
        const receipts = await call(() => broker.reclaim(queues, batch, clock.nowMs()));
        answeredAtMs = performance.now();
        for (const { queue, id, to } of receipts) tellBroker({ event: "reclaimed", broker: label, queue, id, to });
        if (receipts.length > 0) onWork();
        return receipts.length === batch ? 0 : undefined;
      } finally {
        if (!waited) onReclaim();
      }
    },
    true,
  );

  const prune = step("pruning completed tasks", async (call) => {
    const count = await call(() => broker.prune(queues, batch, clock.nowMs()));
    if (count > 0) tellBroker({ event: "pruned", broker: label, count });
    return count === batch ? 0 : undefined;
  });

  const letters = broker.deadLetters;
  const group =
    letters &&
    step("putting dead letters into failure groups", async (call) => {
      const count = await call(async () => letters.indexDeadLetters(queues, batch, clock.nowMs()));
      return count >= batch ? 0 : undefined;
    });

  const reclaimEveryMs = Math.min(5_000, Math.max(1_000, leaseDurationMs / 6));
  const onError = (error: unknown) => log.error({ error }, "maintenance failed");
  await Promise.all([
    loop(promote, { everyMs: promoteEveryMs, signal, onError }),
    loop(reclaim, { everyMs: reclaimEveryMs, signal, onError }),
    loop(prune, { everyMs: pruneEveryMs, signal, onError }),
    // A broker of one's own need not know groups.
    group && loop(group, { everyMs: groupEveryMs, signal, onError }),
  ]);
}
