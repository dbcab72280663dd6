import type { RedrivenTask } from "../../broker/redriving.js";
import type { Act } from "../../broker/roles.js";
import { HoldfastError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import { pause as wait } from "../../core/loop.js";
import type { ByOptions } from "../../inspector/options.js";
import type { Desk } from "../desk.js";
import { inTurns } from "../in-turns.js";
import { recorded } from "../recorded.js";
import {
  changeRedrive,
  forgetOld,
  readLive,
  readRedrive,
  readRedrives,
  type RedriveDocument,
  type RedriveStanding,
  type StoredRedrive,
  writeRedrive,
} from "./document.js";
import { leaseMs, RedriveDriver } from "./driver.js";
import { redriveOptions, type RedriveOptions, redriveSettings } from "./options.js";
import { markOf } from "./outcome.js";
import { estimateMs, plan, type PlanWatching, type RedrivePlan } from "./plan.js";
import { keptSelection, type DeadSelection } from "./selection.js";
import { queuesOf, standingOf } from "./standing.js";

/** One redrive, as one may look at it. */
export interface RedriveInfo extends Omit<RedriveDocument, "queuePages" | "standing">, RedriveStanding {
  readonly id: string;
  /** Whether a process drives it now; without one nothing moves until somebody resumes it, or the monitor takes it over. */
  readonly isDriven: boolean;
  /** How long moving what is left takes at the least, ms. */
  readonly estimateMs: number;
}

/** What became of one task. */
export interface RedriveOutcome {
  readonly queue: string;
  readonly id: string;
  readonly became: RedrivenTask["became"];
  readonly fingerprint: string;
  /** Why it was not moved, or what it failed with. */
  readonly why?: string | undefined;
  /** Who holds its unique lock. */
  readonly holder?: string | undefined;
}

export interface DriveOptions {
  /** Lets go of it between two steps: others may drive it. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((redrive: RedriveInfo) => void) | undefined;
}

/**
 * Runs dead letters again, many of them, with care: their number is known before, a few go first, the rest at a rate, it stops
 * itself when they fail again, and what became of each is told. A redrive is stored, and whoever drives it may die: another
 * process goes on.
 */
export class Redrives {
  readonly #desk: Desk;
  /** This process, for as long as it has this object. */
  readonly #owner: string;
  readonly #drivers = new Map<string, RedriveDriver>();

  constructor(desk: Desk) {
    this.#desk = desk;
    this.#owner = newId(desk.nowMs());
  }

  /** What a redrive would do; changes nothing. @throws OPTION_INVALID SEARCH_INVALID */
  async plan(selection: DeadSelection, options?: RedriveOptions & PlanWatching): Promise<RedrivePlan> {
    const { signal, onProgress, ...rest } = options ?? {};
    const { settings } = redriveOptions(rest);
    return plan(this.#desk, keptSelection(selection, "plan"), settings, { signal, onProgress });
  }

  /**
   * Begins one: what is dead now and selected belongs to it. It goes on while somebody drives it: `drive`, or the monitor.
   * @throws OPTION_INVALID SEARCH_INVALID
   */
  async start(selection: DeadSelection, options?: RedriveOptions): Promise<RedriveInfo> {
    const { by, settings } = redriveOptions(options);
    const nowMs = this.#desk.nowMs();
    const redrive: RedriveDocument = {
      by: this.#desk.act(by, "redrive"),
      createdAtMs: nowMs,
      selection: keptSelection(selection, "redrive"),
      settings,
      phase: "choosing",
      status: "running",
      says: "",
      queues: 0,
      queuePages: 0,
      skipped: {},
      round: 0,
      rampAtMs: 0,
      movedAtMs: 0,
    };
    await forgetOld(this.#desk);
    const id = newId(nowMs);
    await this.#recorded("start", id, redrive.by, () => writeRedrive(this.#desk, { id, version: 0, redrive }));
    return this.get(id);
  }

  /**
   * All there are, the last one first: 1,000 that are over at the most, fewer where they were in very many queues, and none that
   * ended more than 30 days ago.
   */
  async list(): Promise<RedriveInfo[]> {
    return inTurns(await readRedrives(this.#desk), (stored) => this.#info(stored));
  }

  /** @throws REDRIVE_NOT_FOUND */
  async get(id: string): Promise<RedriveInfo> {
    return this.#info(await readRedrive(this.#desk, id));
  }

  /** What became of its tasks, in no order: those that were moved, and those that could not be. */
  async *outcomes(id: string): AsyncGenerator<RedriveOutcome, void> {
    const { redrive } = await readRedrive(this.#desk, id);
    for (const queue of await queuesOf(this.#desk, id, redrive)) {
      let cursor: string | undefined;
      do {
        const page = await this.#desk.store.redrivenTasks(id, queue, { limit: 500, cursor });
        for (const task of page.items) {
          const { fingerprint, why, holder } = markOf(task.mark);
          yield { queue, id: task.id, became: task.became, fingerprint, why, holder };
        }
        cursor = page.next;
      } while (cursor !== undefined);
    }
  }

  /** Moves nothing more until it is resumed. @throws REDRIVE_NOT_FOUND REDRIVE_ENDED */
  async pause(id: string, options?: ByOptions): Promise<RedriveInfo> {
    const by = this.#desk.act(options, "pause");
    return this.#steer("pause", id, by, () => ({ status: "paused", says: saysOf(by) }));
  }

  /** Goes on, also one that has stopped itself: what has failed before does not count any more. @throws as `pause` */
  async resume(id: string, options?: ByOptions): Promise<RedriveInfo> {
    const by = this.#desk.act(options, "resume");
    return this.#steer("resume", id, by, ({ status, round }) =>
      status === "running" ? {} : { status: "running", says: "", round: round + 1, rampAtMs: this.#desk.nowMs() },
    );
  }

  /** Another rate, tasks a second. @throws as `pause`; OPTION_INVALID */
  async rate(id: string, rate: number, options?: ByOptions): Promise<RedriveInfo> {
    const by = this.#desk.act(options, "rate");
    const checked = redriveSettings.rate.parse(rate, "rate") as number;
    return this.#steer("rate", id, by, ({ settings }) => ({ settings: { ...settings, rate: checked } }));
  }

  /** Ends it: what was not moved stays a dead letter. What was moved runs on. Goes on where a cancel was interrupted. @throws as `pause` */
  async cancel(id: string, options?: ByOptions): Promise<RedriveInfo> {
    const by = this.#desk.act(options, "cancel");
    await this.#steer("cancel", id, by, () => ({
      status: "cancelled",
      phase: "ending",
      says: saysOf(by),
      driver: undefined,
    }));
    // It is ended here: who had the lease may be dead. Where that process is alive and takes it again, it ends it.
    const driver = this.#driverOf(id);
    for (let step = await driver.step(); step.driven === "here" && step.redrive.phase !== "ended";)
      step = await driver.step();
    return this.get(id);
  }

  /**
   * Drives one until it is over, paused or stopped by itself, or by its signal. While another process drives it, this one
   * looks on, and takes over when that has died. @throws REDRIVE_NOT_FOUND, and what storage throws
   */
  async drive(id: string, { signal, onProgress }: DriveOptions = {}): Promise<RedriveInfo> {
    const driver = this.#driverOf(id);
    try {
      while (signal?.aborted !== true) {
        const step = await driver.step();
        const { phase, status } = step.redrive;
        onProgress?.(await this.#info({ id, redrive: step.redrive }, step.standing));
        if (phase === "ended" || (phase !== "ending" && status !== "running")) break;
        await wait(Math.min(step.waitMs, lookOnMs), signal);
      }
    } finally {
      this.#drivers.delete(id);
      // Where storage is away the lease runs out by itself.
      await driver.release().catch(() => undefined);
    }
    return this.get(id);
  }

  /**
   * One bounded step of each redrive that is not over and that no other process drives; for a monitor, which calls it again
   * and again. Answers when to, ms from now. What storage throws of one does not keep the others waiting.
   */
  async step(onError: (error: unknown) => void): Promise<number> {
    let waitMs = idleMs;
    for (const { id, redrive } of await readLive(this.#desk)) {
      try {
        // One that is paused is looked at, too: what it has moved goes on to end.
        const step = await this.#driverOf(id).step();
        if (step.redrive.phase === "ended") this.#drivers.delete(id);
        else if (redrive.status === "running" || redrive.phase === "ending") waitMs = Math.min(waitMs, step.waitMs);
      } catch (error) {
        onError(error);
      }
    }
    return waitMs;
  }

  /** Lets other processes drive what this one does, at once. */
  async release(): Promise<void> {
    const drivers = [...this.#drivers.values()];
    this.#drivers.clear();
    await Promise.all(drivers.map((driver) => driver.release()));
  }

  #driverOf(id: string): RedriveDriver {
    const driver = this.#drivers.get(id) ?? new RedriveDriver(this.#desk, id, this.#owner);
    this.#drivers.set(id, driver);
    return driver;
  }

  #recorded<T>(verb: string, id: string, by: Act, deed: () => Promise<T>): Promise<T> {
    const act = { ...by, verb: `redrive ${verb}`, what: JSON.stringify({ redrive: id }), count: 0 };
    return recorded(this.#desk, act, deed);
  }

  async #steer(
    verb: string,
    id: string,
    by: Act,
    change: (redrive: RedriveDocument) => Partial<RedriveDocument>,
  ): Promise<RedriveInfo> {
    const open = (redrive: RedriveDocument): RedriveDocument => {
      const isOver = redrive.phase === "ended" || (redrive.status === "cancelled" && verb !== "cancel");
      if (isOver) throw new HoldfastError("REDRIVE_ENDED", { id, status: redrive.status });
      return redrive;
    };
    open((await readRedrive(this.#desk, id)).redrive);
    const stored = await this.#recorded(verb, id, by, () =>
      changeRedrive(this.#desk, id, (redrive) => ({ ...open(redrive), ...change(redrive) })),
    );
    return this.#info(stored);
  }

  async #info({ id, redrive }: Omit<StoredRedrive, "version">, known?: RedriveStanding): Promise<RedriveInfo> {
    const { counts, causes } = known ?? (await standingOf(this.#desk, { id, redrive }));
    const { queuePages: _pages, standing: _then, ...told } = redrive;
    const { driver, settings, phase } = redrive;
    return {
      ...told,
      id,
      counts,
      causes,
      isDriven: driver !== undefined && driver.untilMs > this.#desk.nowMs(),
      estimateMs: estimateMs(counts.left, { ...settings, rampMs: phase === "moving" ? 0 : settings.rampMs }),
    };
  }
}

const saysOf = ({ actor, reason }: Act) => (reason === "" ? `by ${actor}` : `by ${actor}: ${reason}`);

/** Who looks on looks again, at the latest, and so does a monitor that has nothing to drive. */
const lookOnMs = 1_000;
const idleMs = leaseMs / 2;
