import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { check } from "../../history/check.js";
import type { Event, History } from "../../history/events.js";
import type { Verdict, Violation } from "../../history/verdict.js";
import { seeded } from "../../support/seeded.js";
import { until } from "../../support/until.js";
import { Children } from "./children.js";
import { Journal, nowMs } from "./journal.js";
import type { Row, Span } from "./row.js";
import { scanQueue, unfinished } from "./scan.js";
import { Scene, type Stage } from "./scene.js";
import { Watch } from "./watch.js";

export interface EpisodeOptions {
  readonly stage: (folder: string) => Promise<Stage>;
  readonly rows: readonly Row[];
  readonly seed: number;
  /** Producers accept into a spool with these options. Default: into Redis alone. */
  readonly spool?: object | undefined;
  /** Calls of each of the two producers. Default: 60. */
  readonly perSecond?: number | undefined;
  readonly tell?: (line: string) => void;
}

/** One fault, and how long it took until all was well again. */
export interface Injected extends Span {
  readonly row: Row;
}

export interface Episode {
  readonly seed: number;
  readonly spool: boolean;
  readonly injected: readonly Injected[];
  readonly verdict: Verdict;
  readonly history: History;
}

const queues = ["default", "ordered"];
/** Real leases are six times as long. */
const leaseDuration = "5s";
const longestRecoveryMs = 60_000;
/** And three times as long as the fault, for what has gathered meanwhile. */
const longestRestMs = 60_000;
const longestAlarmMs = 60_000;
/** After some seconds without storage the breaker's probes come 3.5 to 6.5 s apart. */
const usualRecoverMs = 7_000;
/** Longer than a doomed master was seen to go on. */
const trustAfter = "20s";

/**
 * Producers and workers work while one fault after the other is injected and healed; then they finish, and the checker
 * gets all that they have written down.
 */
export async function runEpisode(options: EpisodeOptions): Promise<Episode> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-chaos-"));
  const stage = await options.stage(folder);
  const journal = new Journal(join(folder, "supervisor.jsonl"));
  const worker = { concurrency: 10, leaseDuration, shutdownTimeout: "8s" } as const;
  const spool = options.spool && { directory: join(folder, "spool"), trustAfter, ...options.spool };
  const { perSecond } = options;
  const producers = perSecond === undefined ? {} : { perSecond, most: 4 * perSecond, burst: perSecond };
  const children = new Children({ url: stage.url, worker, spool, node: stage.node, producers }, folder, journal);
  const scene = new Scene(stage, children, journal, folder, seeded(options.seed));
  const watch = new Watch(() => [journal.file, ...children.journals]);
  try {
    const env = Object.assign({}, ...options.rows.map((row) => row.producers?.(folder)));
    const producer = () => children.add("producer", { env });
    await Promise.all([producer(), producer(), children.add("worker", { ordered: true })]);
    await Promise.all([children.add("worker"), children.add("worker")]);
    const injected: Injected[] = [];
    await busySince(nowMs(), watch);
    for (const row of options.rows) {
      options.tell?.(`${row.row} ${row.name}`);
      injected.push(await inject(row, scene, watch));
    }
    const quiet = await finish(scene, longestRestMs + 3 * Math.max(...options.rows.map(({ holdMs }) => holdMs)));
    for (const child of children.workers) await children.stop(child);
    watch.look();
    const scanned = await Promise.all(queues.map(async (name) => scanQueue(await stage.holder(name), name)));
    const final = {
      quiet,
      queues: scanned.map(withoutPlanted),
      spooled: [],
    };
    const history = { events: watch.events, final };
    const verdict = check(history);
    return {
      seed: options.seed,
      spool: options.spool !== undefined,
      injected,
      history,
      verdict: {
        ...verdict,
        violations: [...verdict.violations, ...slow(injected), ...besides(injected, watch.events)],
      },
    };
  } finally {
    await children.end();
    for (const undo of scene.undo.splice(0)) await undo();
    await stage[Symbol.asyncDispose]();
    for (const row of options.rows) row.ends?.(scene);
    await rm(folder, { recursive: true, force: true });
  }
}

async function inject(row: Row, scene: Scene, watch: Watch): Promise<Injected> {
  const fault = `${row.row}`;
  await sleep(500 + scene.random() * 1_000);
  scene.journal.say({ e: "fault", fault, what: "on" });
  const fromMs = nowMs();
  await row.inject(scene);
  await sleep(row.holdMs);
  if (row.alarm !== undefined) await alarmed(row.alarm, fromMs, watch);
  for (const undo of scene.undo.splice(0)) await undo();
  await row.heal?.(scene);
  scene.journal.say({ e: "fault", fault, what: "off" });
  const healedMs = nowMs();
  const recoveryMs = await busySince(healedMs, watch);
  // What was under way when it was healed ends before the next fault; leases that it broke may take longer.
  await sleep(1_000);
  scene.journal.say({ e: "fault", fault, what: "calm" });
  return { row, fromMs, healedMs, recoveryMs };
}

/** Nobody would hear of this fault otherwise until it is too late. */
async function alarmed(event: string, sinceMs: number, watch: Watch): Promise<void> {
  const told = () => {
    watch.look();
    return watch.events.some((one) => one.e === "alarm" && one.event === event && one.at >= sinceMs);
  };
  await until(`workers tell "${event}"`, told, longestAlarmMs);
}

/** Waits until a call made since then has been accepted and a task has been started; answers how long that took, ms. */
async function busySince(sinceMs: number, watch: Watch): Promise<number> {
  const invoked = new Set<string>();
  let acceptedMs: number | undefined;
  let startedMs: number | undefined;
  const take = (event: Event) => {
    if (event.at < sinceMs) return;
    if (event.e === "invoke") invoked.add(event.k);
    else if (event.e === "accepted" && invoked.has(event.k)) acceptedMs ??= event.at - sinceMs;
    else if (event.e === "start") startedMs ??= event.at - sinceMs;
  };
  for (const event of watch.events) take(event);
  await until(
    "tasks are accepted and started again",
    () => {
      for (const event of watch.look()) take(event);
      return acceptedMs !== undefined && startedMs !== undefined;
    },
    longestRecoveryMs,
  );
  return Math.max(acceptedMs!, startedMs!);
}

/** Producers end; what they have sent is worked off. False where it is not, in that time. */
async function finish({ children, stage }: Scene, withinMs: number): Promise<boolean> {
  await Promise.all(children.producers.map((producer) => children.stop(producer, withinMs + 40_000)));
  return until(
    "nothing waits or runs",
    async () => {
      const left = await Promise.all(queues.map(async (name) => unfinished(await stage.holder(name), name)));
      return left.every((count) => count === 0);
    },
    withinMs,
  ).catch(() => false);
}

/** Entries that a row has planted, and that have been set aside, are where they belong. */
function withoutPlanted(queue: History["final"]["queues"][number]): History["final"]["queues"][number] {
  const isOurs = (id: string) => !id.startsWith("planted-");
  const { broken = [], archived = [] } = queue.places;
  const setAside = archived.filter((id) => !isOurs(id)).length;
  return {
    ...queue,
    processed: queue.processed - setAside,
    failed: queue.failed - setAside,
    tasks: queue.tasks.filter(({ id, state }) => isOurs(id) || state !== "archived"),
    places: { ...queue.places, broken: broken.filter(isOurs), archived: archived.filter(isOurs) },
  };
}

/** What a row asks for is looked for until the next one's fault came. */
function besides(injected: readonly Injected[], events: readonly Event[]): Violation[] {
  const ordered = events.toSorted((a, b) => a.at - b.at);
  return injected.flatMap(({ row, ...span }, n) => {
    const wrong = row.holds?.(ordered, { ...span, untilMs: injected[n + 1]?.fromMs ?? Infinity }) ?? [];
    return wrong.map((what) => ({ invariant: "besides" as const, what: `${row.name}: ${what}`, evidence: [] }));
  });
}

function slow(injected: readonly Injected[]): Violation[] {
  return injected
    .filter(({ row, recoveryMs }) => recoveryMs > (row.recoverMs ?? usualRecoverMs))
    .map(({ row, recoveryMs }) => ({
      invariant: "slow" as const,
      what: `${row.name}: ${Math.round(recoveryMs)} ms until all was well, not ${row.recoverMs ?? usualRecoverMs}`,
      evidence: [],
    }));
}
