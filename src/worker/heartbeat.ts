import type { OutcomeCounts } from "../broker/outcome-counts.js";
import type { Signalling } from "../broker/roles.js";
import type { Clock } from "../core/clock.js";
import type { WorkerInfo } from "../core/info.js";
import type { Logger } from "../core/log.js";
import { loop } from "../core/loop.js";
import type { OutcomeTally } from "./outcome-tally.js";
import type { Watch } from "./watch.js";

/** asynq's: a server is looked for as long as two of its beats. */
const everyMs = 5_000;
const ttlMs = 2 * everyMs;

/** A task with a larger payload is shown without it. */
const maxPayloadBytes = 4_096;
/** Tasks shown of one worker, and bytes of their payloads in all. */
const maxRunning = 1_000;
const maxBytes = 262_144;

export interface Announcing extends Pick<Signalling, "announce" | "withdraw"> {
  readonly deadLetters?: OutcomeCounts | undefined;
  readonly label: string;
  readonly clock: Clock;
}

interface BeatOptions {
  readonly log: Logger;
  readonly watch: Watch;
  readonly tally: OutcomeTally;
  readonly onShared: (queues: readonly string[]) => void;
}

/** Tells others that this worker lives and what it runs, until the signal aborts; it hears who else serves its queues. */
export async function beat(
  broker: Announcing,
  info: () => WorkerInfo,
  signal: AbortSignal,
  { log, watch, tally, onShared }: BeatOptions,
): Promise<void> {
  let announced = false;
  const announce = async () => {
    try {
      const { shared } = await watch.call("announcing itself", () =>
        broker.announce(withinBounds(info()), ttlMs, broker.clock.nowMs()),
      );
      announced = true;
      onShared(shared);
    } catch (error) {
      // Nothing depends on it: an outage is told by those who lose something.
      log.debug({ broker: broker.label, error }, "the worker could not announce itself; trying again");
    }
  };
  // Only with something to tell: a call that asks nothing of storage would pass for its answer.
  const flush = async () => {
    const store = broker.deadLetters;
    if (store !== undefined && !tally.isEmpty) await watch.call("telling how attempts ended", () => tally.flush(store));
  };
  const tell = async () => {
    await announce();
    try {
      await flush();
    } catch (error) {
      log.debug({ broker: broker.label, error }, "the worker could not tell how attempts ended; trying again");
    }
  };
  await loop(tell, { everyMs: everyMs * (1 - Math.random() / 10), signal, onError: () => undefined });
  // While storage is away there is nobody to take leave of, and soon nothing to take leave for.
  if (!announced || watch.away !== undefined) return;
  try {
    await flush();
    await watch.call("taking leave", () => broker.withdraw(info()));
  } catch (error) {
    log.debug({ broker: broker.label, error }, "the worker could not take leave: it is listed for some seconds more");
  }
}

/** What has run longest is shown first, where there is too much to show. */
function withinBounds(worker: WorkerInfo): WorkerInfo {
  let left = maxBytes;
  const running = worker.running.slice(0, maxRunning).map((task) => {
    const bytes = task.payload?.length ?? 0;
    if (bytes > Math.min(maxPayloadBytes, left)) return { ...task, payload: undefined };
    left -= bytes;
    return task;
  });
  return { ...worker, running };
}
