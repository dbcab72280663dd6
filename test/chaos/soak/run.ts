import { mkdtemp, rm } from "node:fs/promises";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { FinalState } from "../../history/events.js";
import { seeded } from "../../support/seeded.js";
import { until } from "../../support/until.js";
import { Children } from "../harness/children.js";
import { Journal, nowMs } from "../harness/journal.js";
import { scanQueue, unfinished } from "../harness/scan.js";
import { Scene, type Stage } from "../harness/scene.js";
import { between, Schedule, type SoakFault } from "./faults.js";
import { judgeInParts, type SoakVerdict } from "./judge.js";
import type { Mode } from "./modes.js";
import { soakStage, type SoakStage } from "./stages.js";

export interface SoakOptions {
  readonly mode: Mode;
  readonly tasks: number;
  readonly faults: number;
  readonly seed: number;
  /** Calls a second, of all producers. */
  readonly perSecond: number;
  /** Ends after so long, however many there were. */
  readonly minutes: number;
  /** Between the end of a fault and the next one, on average. */
  readonly gapMs: number;
  readonly tell: (line: string) => void;
}

/** On the clock of `at`. */
export interface SoakFaultTimes {
  readonly name: string;
  readonly onMs: number;
  readonly offMs: number;
}

export interface Soak {
  readonly seconds: number;
  readonly faults: readonly SoakFaultTimes[];
  readonly verdict: SoakVerdict;
}

const queue = "default";
const producers = 3;
const workers = 3;
/** A sixth of the default, as in the rows. */
const leaseDuration = "5s";
/** What the spools may hold, in seconds of calls: 20 s pass before they let go of a task. */
const mostSpooledS = 40;
/** More than this in the queue: producers wait, as those would that must not run out of room. */
const mostPending = 5_000;
/** What a fault left behind is over: leases that it broke have run out and their tasks have been taken again. */
const calmMs = 10_000;
const restMs = 300_000;
/** Spools hold what was accepted for 20 s, and what a busy machine has not delivered yet. */
const emptyingMs = 900_000;

/** What a producer says of itself. */
interface Counts {
  readonly made: number;
  readonly accepted: number;
  readonly spooled: number;
}

/** Real processes, faults without a break until there were enough of them and of tasks, then rest, then the checker. */
export async function runSoak(options: SoakOptions): Promise<Soak> {
  const { mode, seed } = options;
  const folder = await mkdtemp(join(tmpdir(), "holdfast-soak-"));
  const journal = new Journal(join(folder, "supervisor.jsonl"));
  const forgets = (why: string) => journal.say({ e: "incarnation", why });
  const stage = await soakStage(mode, forgets);
  // Whoever injects faults, and what is being started, goes before those that only have much to do.
  const nice = Math.min(19, getPriority() + 5);
  const counts = new Map<string, Counts>();
  const children = new Children(
    {
      url: stage.url,
      worker: { concurrency: 200, leaseDuration, shutdownTimeout: "8s" },
      spool: mode.spool ? { directory: join(folder, "spool") } : undefined,
      producers: {
        perSecond: Math.ceil(options.perSecond / producers),
        most: 5_000,
        special: 0.05,
        lists: 0.9,
        turnMs: 100,
        burst: 500,
        ordered: false,
        nice,
        tells: true,
        ...mode.producer,
      },
      workers: { handlerMs: 5, nice },
      heard: (name, message) => {
        if (typeof message === "object") counts.set(name, message as Counts);
      },
    },
    folder,
    journal,
  );
  const scene = new Scene(stage, children, journal, folder, seeded(seed));
  const sum = (what: "made" | "accepted") => [...counts.values()].reduce((all, one) => all + one[what], 0);
  const spooled = () => children.producers.reduce((all, { name }) => all + (counts.get(name)?.spooled ?? 0), 0);
  const pacing = new Pacing(stage, children, spooled, options.perSecond);
  const startedMs = nowMs();
  try {
    for (let n = 0; n < producers; n++) await children.add("producer");
    for (let n = 0; n < workers; n++) await children.add("worker");
    await until("tasks are accepted", () => sum("accepted") > 1_000, 30_000);
    const schedule = new Schedule(scene.random);
    const faults: SoakFaultTimes[] = [];
    const endMs = startedMs + options.minutes * 60_000;
    while ((faults.length < options.faults || sum("made") < options.tasks) && nowMs() < endMs) {
      await between(scene.random, options.gapMs);
      faults.push(await inject(await schedule.next(stage), faults.length, scene, options));
      if (faults.length % 20 === 0)
        options.tell(
          `${((nowMs() - startedMs) / 1_000).toFixed(0)} s: ${faults.length} faults, ${sum("made")} calls, ${sum("accepted")} accepted, ${await pacing.pending()} pending, ${spooled()} spooled`,
        );
    }
    await sleep(calmMs);
    options.tell("the producers stop");
    pacing.end();
    const stopping = children.producers;
    await Promise.all(stopping.map((producer) => children.stop(producer, emptyingMs)));
    if (stopping.some(({ process: producer }) => producer.signalCode !== null))
      options.tell(
        `VOID: the spools were not empty after ${emptyingMs / 1_000} s, and what they hold counts as lost below`,
      );
    const quiet = await until(
      "nothing waits or runs",
      async () => (await unfinished(await stage.holder(queue), queue)) === 0,
      restMs,
    ).catch(() => false);
    for (const child of children.workers) await children.stop(child);
    const final: FinalState = { quiet, queues: [await scanQueue(await stage.holder(queue), queue)], spooled: [] };
    const seconds = Math.round((nowMs() - startedMs) / 1_000);
    options.tell(`at rest after ${seconds} s; the checker begins`);
    const verdict = judgeInParts({ files: [journal.file, ...children.journals], folder, final, faults });
    return { seconds, faults, verdict };
  } finally {
    pacing.end();
    await children.end();
    for (const undo of scene.undo.splice(0)) await undo();
    await stage[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  }
}

/** A fault is healed where it was injected, wherever the others have gone meanwhile. */
function here({ stage, children, journal, folder, random }: Scene): Scene {
  const pinned = Object.create(stage, { server: { value: stage.server }, proxy: { value: stage.proxy } }) as Stage;
  return new Scene(pinned, children, journal, folder, random);
}

async function inject(fault: SoakFault, n: number, place: Scene, { tell }: SoakOptions): Promise<SoakFaultTimes> {
  const scene = fault.storage === true ? place : here(place);
  const name = `${n} ${fault.name}`;
  scene.journal.say({ e: "fault", fault: name, what: "on" });
  const onMs = nowMs();
  const trouble = (error: unknown) => tell(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  // What goes wrong with one, on a busy machine, is told, and the soak goes on: it must be healed in any case.
  await attempt(() => fault.inject(scene), trouble);
  await sleep(fault.holdMs);
  for (const undo of scene.undo.splice(0)) await undo();
  await attempt(() => fault.heal?.(scene), trouble);
  scene.journal.say({ e: "fault", fault: name, what: "off" });
  setTimeout(() => scene.journal.say({ e: "fault", fault: name, what: "calm" }), calmMs).unref();
  return { name: fault.name, onMs, offMs: nowMs() };
}

async function attempt(what: () => Promise<void> | void, trouble: (error: unknown) => void): Promise<void> {
  try {
    await what();
  } catch (error) {
    trouble(error);
  }
}

/** Holds producers back while workers have too much to do already. */
class Pacing {
  readonly #stage: SoakStage;
  readonly #children: Children;
  readonly #spooled: () => number;
  /** Of all producers. */
  readonly #perSecond: number;
  readonly #timer: NodeJS.Timeout;
  #held = false;
  #over = false;

  constructor(stage: SoakStage, children: Children, spooled: () => number, perSecond: number) {
    this.#stage = stage;
    this.#children = children;
    this.#spooled = spooled;
    this.#perSecond = perSecond;
    this.#timer = setInterval(() => void this.#look().catch(() => undefined), 500);
  }

  end(): void {
    this.#over = true;
    clearInterval(this.#timer);
  }

  async pending(): Promise<number> {
    return this.#stage.server.admin.llen(`asynq:{${queue}}:pending`).catch(() => -1);
  }

  async #look(): Promise<void> {
    const pending = await this.pending();
    if (this.#over) return;
    // Where storage does not tell how many are pending, the spools still do.
    const load = Math.max(pending / mostPending, this.#spooled() / (mostSpooledS * this.#perSecond));
    this.#held = load > (this.#held ? 0.75 : 1);
    const perSecond = this.#held ? 0 : this.#perSecond / producers;
    // Each time: one that took a dead producer's place has not been told.
    for (const { process: producer } of this.#children.producers) producer.send({ do: "pace", perSecond });
  }
}
