import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { join } from "node:path";
import { type BrokerEvent, Client, connect, defineTask, Worker } from "../../index.js";
import { count } from "../../core/counting.js";
import { silent } from "../../core/log.js";
import { pause } from "../../core/loop.js";
import { printable } from "../../core/printable.js";
import { span } from "../times.js";
import { PrivateRedis } from "./private-redis.js";

/** What became of work during an outage, as `--json` prints it. */
export interface OutageReport {
  /** Tasks whose enqueue was answered with a receipt. */
  readonly accepted: number;
  /** Those of them that this machine's disk took, for Redis did not. */
  readonly spooled: number;
  /** The circuit breaker's states, one after the other. */
  readonly breaker: readonly string[];
  readonly redisAwayMs: number;
  /** From the restart to the first task that ended, and to the empty spool. */
  readonly firstTaskMs: number;
  readonly drainedMs: number;
  /** Accepted, and never run. */
  readonly lost: readonly string[];
  readonly ranTwice: readonly { readonly id: string; readonly why: string }[];
  /** How often each accepted task ran. */
  readonly runs: Readonly<Record<string, number>>;
}

const tasks = 400;
/** A client that spools for one queue goes on asking Redis for others, which is what opens its breaker. */
const queues = ["mail", "orders", "images", "reports"];
const everyMs = 4;
/** How many have run when Redis is killed. */
const killAfter = 100;
/** How long Redis stays away when the breaker has opened. */
const spoolingMs = 700;
/** If Redis does not come back: what has not run by then is lost. */
const patienceMs = 45_000;
const quiet = { log: silent } as const;
const work = defineTask<{ n: number }>("outage");

interface Run {
  readonly attempt: number;
  readonly crashes: number;
}

/**
 * Tasks are enqueued and run on a Redis of our own, which is killed in their midst and started again. Answers what became of
 * them, counted by the receipts and the handlers' calls; undefined when it was called off.
 */
export async function outageAct(
  folder: string,
  say: (line: string) => void,
  calledOff: AbortSignal,
): Promise<OutageReport | undefined> {
  await using redis = await PrivateRedis.start(join(folder, "redis"));
  await using broker = connect(redis.url, { ...quiet, spool: join(folder, "spool") });
  const spool = broker.spool!;
  const accepted = new Map<string, string>();
  const runs = new Map<string, Run[]>();
  const breaker: string[] = [];
  const hear = (told: unknown) => {
    const event = told as BrokerEvent;
    if (event.event !== "breaker" || event.broker !== broker.label) return;
    breaker.push(event.state);
    if (event.state === "open" || event.state === "closed") {
      say(`breaker ${event.state}${event.reason === "" ? "" : `: ${printable(event.reason)}`}`);
    }
  };
  let endedAtMs = 0;
  const worker = new Worker(broker, {
    ...quiet,
    concurrency: 10,
    queues: Object.fromEntries(queues.map((queue) => [queue, 1])),
  }).handle(work, async (_payload, task) => {
    runs.set(task.id, [...(runs.get(task.id) ?? []), { attempt: task.attempt, crashes: task.crashes }]);
    await pause(20);
    endedAtMs = performance.now();
  });
  const until = async (isSo: () => boolean | Promise<boolean>, withinMs = patienceMs) => {
    const lastMs = performance.now() + withinMs;
    while (!calledOff.aborted && performance.now() < lastMs && !(await isSo())) await pause(20, calledOff);
  };

  await broker.ping();
  subscribe("holdfast.broker", hear);
  try {
    await worker.start();
    say(`${count(tasks)} tasks go to a Redis of their own (process ${redis.pid}), which a worker serves`);
    const client = new Client(broker, { timeout: "30s" });
    const enqueueing = (async () => {
      for (let n = 0; n < tasks && !calledOff.aborted; n += 1) {
        const { id, status } = await client.enqueue(work({ n }, { queue: queues[n % queues.length]! }));
        accepted.set(id, status);
        await pause(everyMs);
      }
    })();
    // It is awaited below; what it throws meanwhile is told there.
    enqueueing.catch(() => undefined);
    const spooledNow = () => [...accepted.values()].filter((status) => status === "spooled").length;

    await until(() => runs.size >= killAfter);
    await redis.kill();
    const killedAtMs = performance.now();
    say(`kill -9, after ${count(runs.size)} of them had begun`);
    await until(() => breaker.includes("open"), 10_000);
    await pause(spoolingMs, calledOff);
    say(
      `${count(spooledNow())} tasks were accepted meanwhile, into the spool on this machine's disk; Redis starts again`,
    );
    redis.start();
    const startedAtMs = performance.now();
    await until(() => endedAtMs > startedAtMs);
    const firstTaskMs = Math.round(endedAtMs - startedAtMs);
    await enqueueing;
    await until(() => [...accepted.keys()].every((id) => runs.has(id)));
    await until(async () => (await spool.stats()).tasks === 0);
    if (calledOff.aborted) return undefined;
    const drainedMs = Math.round(performance.now() - startedAtMs);
    say(`first task ended ${span(firstTaskMs)} after that; the spool is empty after ${span(drainedMs)}`);
    await worker.stop();

    const ids = [...accepted.keys()];
    return {
      accepted: ids.length,
      spooled: spooledNow(),
      breaker,
      redisAwayMs: Math.round(startedAtMs - killedAtMs),
      firstTaskMs,
      drainedMs,
      lost: ids.filter((id) => !runs.has(id)),
      ranTwice: ids.filter((id) => (runs.get(id)?.length ?? 0) > 1).map((id) => ({ id, why: whyAgain(runs.get(id)!) })),
      runs: Object.fromEntries(ids.map((id) => [id, runs.get(id)?.length ?? 0])),
    };
  } finally {
    unsubscribe("holdfast.broker", hear);
    await worker.stop();
  }
}

/** What the second run knew of the first. */
function whyAgain([, second]: readonly Run[]): string {
  if (second!.crashes > 0) return "its lease had run out before its outcome was settled";
  return second!.attempt > 1 ? "its first attempt failed" : "it was delivered again after it had ended";
}

/** The last line, and why some ran twice, if any did. */
export function outcomeLines({ accepted, lost, ranTwice }: OutageReport): string[] {
  const causes = [...new Set(ranTwice.map(({ why }) => why))];
  return [
    ...causes.map((why) => `${count(ranTwice.filter((one) => one.why === why).length)} ran twice: ${why}`),
    `accepted ${count(accepted)}, lost ${count(lost.length)}, run twice ${count(ranTwice.length)}`,
  ];
}
