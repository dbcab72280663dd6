import { DocumentLease } from "../../broker/document-lease.js";
import type { RedriveStand } from "../../broker/redriving.js";
import type { TaskInfo } from "../../core/info.js";
import type { Desk } from "../desk.js";
import { inTurns } from "../in-turns.js";
import { choose, countedBy, type Refused, sifted } from "./chooser.js";
import {
  changeRedrive,
  isOpen,
  keepMs,
  kind,
  putAway,
  readRedrive,
  type RedriveDocument,
  redriveIn,
  type RedriveStanding,
  type StoredRedrive,
} from "./document.js";
import { lookAtMoved } from "./look.js";
import { broughtBefore, moveLeft } from "./move-left.js";
import { movedOf, nextOf } from "./next.js";
import { anyLookMs, markText } from "./outcome.js";
import { Pace } from "./pace.js";
import { addQueues, maxQueues } from "./queue-pages.js";
import { selected } from "./selection.js";
import { added, addedCounts, nothing, queuesOf, standsOf } from "./standing.js";

/** How long a driver that says nothing is taken for alive. */
export const leaseMs = 10_000;
/** Tasks that one step moves, or of a queue looks at. */
const stepTasks = 500;
/** So many tasks one step chooses, and so long it looks for them. */
const choosesMost = 2_000;
const chooseMs = 1_000;
/** Between two steps, at the least and at the most. */
const soonMs = 50;
const restMs = 500;

export interface RedriveStep {
  readonly redrive: RedriveDocument;
  /** Undefined where this step did not look at it. */
  readonly standing?: RedriveStanding | undefined;
  /** `elsewhere`: another process drives it, until at least then. */
  readonly driven: "here" | "elsewhere";
  /** When the next step has something to do, ms from now. */
  readonly waitMs: number;
}

/**
 * Drives one redrive, step by step; what it knows beyond what is stored is only how to go on faster. One process does at a
 * time: it has the lease in the redrive's document, and another one takes over when that has run out. Should two ever do at
 * once, no task is moved twice for it: storage moves only what is left.
 */
export class RedriveDriver {
  readonly #desk: Desk;
  readonly #id: string;
  readonly #owner: string;
  readonly #lease: DocumentLease;
  #selecting: ReturnType<typeof selected> | undefined;
  #skipped: RedriveDocument["skipped"] = {};
  /** Queues in which it has chosen so far, and all of them once it has. */
  #known = new Set<string>();
  #queues: readonly string[] | undefined;
  /** Queues in which nothing is left and nothing waits, and what is known of all of them: it stays. */
  readonly #settled = new Set<string>();
  #past = { round: 0, standing: nothing };
  readonly #pace = new Pace();

  constructor(desk: Desk, id: string, owner: string) {
    this.#desk = desk;
    this.#id = id;
    this.#owner = owner;
    this.#lease = new DocumentLease(desk.store, { kind, id, field: "driver", only: isOpen, leaseMs, holder: owner });
  }

  /** One bounded step. @throws REDRIVE_NOT_FOUND, and what storage throws: the next step goes on where this one stopped */
  async step(): Promise<RedriveStep> {
    const { isOurs, found } = await this.#lease.look(this.#desk.nowMs());
    const stored = await redriveIn(this.#desk, this.#id, found);
    const { redrive } = stored;
    if (redrive.phase === "ended") {
      if (found !== undefined) await putAway(this.#desk, { ...stored, version: found.version });
      return here(redrive, restMs);
    }
    if (!isOurs) {
      this.#selecting = undefined;
      const waitMs = Math.max(soonMs, (redrive.driver?.untilMs ?? 0) - this.#desk.nowMs());
      return { redrive, driven: "elsewhere", waitMs };
    }
    if (redrive.phase === "ending") return this.#end(redrive);
    if (redrive.phase !== "choosing") return this.#go(redrive);
    return redrive.status === "running" ? this.#choose(redrive) : here(redrive, restMs);
  }

  /** Lets others drive it. */
  async release(): Promise<void> {
    await this.#lease.release(this.#desk.nowMs());
  }

  async #change(change: (redrive: RedriveDocument) => RedriveDocument): Promise<RedriveDocument> {
    return (await this.#changed(change)).redrive;
  }

  #changed(change: (redrive: RedriveDocument) => RedriveDocument): Promise<StoredRedrive> {
    // Somebody else's by now: it is no longer ours to change.
    return changeRedrive(this.#desk, this.#id, (now) => (this.#isOurs(now) ? change(now) : undefined));
  }

  #isOurs({ driver }: RedriveDocument): boolean {
    return driver?.holder === this.#owner;
  }

  /** Some pages of the selection. Begun anew after an error, and by another process: to choose a task twice is to choose it once. */
  async #choose(redrive: RedriveDocument): Promise<RedriveStep> {
    try {
      return await this.#choosePages(redrive);
    } catch (error) {
      this.#selecting = undefined;
      throw error;
    }
  }

  async #choosePages(redrive: RedriveDocument): Promise<RedriveStep> {
    const { selection, settings, createdAtMs } = redrive;
    if (this.#selecting === undefined) {
      this.#selecting = selected(this.#desk, selection, createdAtMs);
      this.#skipped = {};
      this.#known = new Set(await queuesOf(this.#desk, this.#id, redrive));
    }
    const { fit, refused, isAll } = await this.#gathered(this.#selecting, settings);
    let now = await this.#name([...fit.keys()], redrive);
    if (!this.#isOurs(now) || now.phase !== "choosing") return here(now, 0);
    const left = await inTurns([...fit], ([queue, tasks]) =>
      choose(this.#desk, this.#id, queue, tasks, settings, false),
    );
    this.#skipped = countedBy(this.#skipped, [...refused, ...left.flat()]);
    now = (await readRedrive(this.#desk, this.#id)).redrive;
    if (now.status === "cancelled" || now.phase === "ended") {
      // It may have been over before these were chosen: nobody would let go of them.
      await inTurns([...fit.keys()], (queue) => this.#letGo(queue));
      return here(now, 0);
    }
    if (!this.#isOurs(now)) return here(now, soonMs);
    return isAll ? this.#chosen(now) : here(now, 0);
  }

  /** Some pages together, so that many queues of few tasks are not named and chosen in one by one. */
  async #gathered(selecting: ReturnType<typeof selected>, settings: RedriveDocument["settings"]) {
    const beganAtMs = this.#desk.nowMs();
    const fit = new Map<string, TaskInfo[]>();
    const refused: Refused[] = [];
    for (let tasks = 0; tasks < choosesMost && this.#desk.nowMs() - beganAtMs < chooseMs;) {
      const { value } = await selecting.next();
      if (value === undefined) return { fit, refused, isAll: true };
      const nowMs = this.#desk.nowMs();
      const page = sifted(value, settings, nowMs);
      refused.push(...page.refused);
      for (const [queue, some] of page.fit) fit.set(queue, [...(fit.get(queue) ?? []), ...some]);
      tasks += value.tasks.length;
    }
    return { fit, refused, isAll: false };
  }

  /** Before anything is chosen in them: whoever ends it must find there what was chosen. */
  async #name(queues: readonly string[], now: RedriveDocument): Promise<RedriveDocument> {
    const known = this.#known;
    const fresh = queues.filter((queue) => !known.has(queue));
    if (fresh.length === 0) return now;
    if (known.size + fresh.length > maxQueues)
      return this.#giveUp(`its tasks are in more than ${maxQueues} queues: select fewer`);
    const queuePages = await addQueues(this.#desk, this.#id, now.queuePages, fresh);
    if (queuePages === "full")
      return this.#giveUp(
        "there is no room for the names of its queues: select fewer, or wait until other redrives are over",
      );
    for (const queue of fresh) known.add(queue);
    return this.#change((latest) => ({
      ...latest,
      queues: known.size,
      queuePages: Math.max(latest.queuePages, queuePages),
    }));
  }

  #giveUp(says: string): Promise<RedriveDocument> {
    return this.#change((latest) => unlessOver(latest, { status: "cancelled", phase: "ending", says }));
  }

  async #chosen(now: RedriveDocument): Promise<RedriveStep> {
    this.#selecting = undefined;
    // From here on it is looked at in those queues alone that are on the pages.
    const known = [...this.#known];
    this.#known = new Set(await queuesOf(this.#desk, this.#id, now));
    const { canary, ordered } = (await this.#name(known, now)).settings;
    const phase = canary > 0 && !ordered ? "canary" : "moving";
    const rampAtMs = this.#desk.nowMs();
    const redrive = await this.#change((latest) => unlessOver(latest, { phase, skipped: this.#skipped, rampAtMs }));
    return here(redrive, 0);
  }

  /** Looks at what was moved, stops where it must, and moves what is next. */
  async #go(redrive: RedriveDocument): Promise<RedriveStep> {
    const nowMs = this.#desk.nowMs();
    const { open, sum } = await this.#stands(redrive, nowMs);
    const due = open.filter(({ stand }) => stand.due.length > 0);
    const looks = await inTurns(due, ({ queue, stand }) =>
      lookAtMoved(this.#desk, this.#id, redrive, queue, stand.due, { nowMs, last: false }),
    );
    const standing = added([sum, ...looks]);
    const ended = standing.counts.waiting < sum.counts.waiting;
    const now = await this.#decided(redrive, nextOf(redrive, standing, nowMs));
    if (now.status !== "running" || !this.#isOurs(now)) return here(now, restMs, standing);
    const isMoving = now.phase === "canary" || now.phase === "moving";
    const { tried, counts } = isMoving ? await this.#move(now, open, standing.counts) : { tried: 0, counts: {} };
    const waitMs = tried > 0 || ended || now.phase !== redrive.phase ? soonMs : restMs;
    return here(now, waitMs, { ...standing, counts: addedCounts(standing.counts, counts) });
  }

  /** Of the queues in which there is still something to do, one by one, and of all. */
  async #stands(redrive: RedriveDocument, nowMs: number) {
    const { round } = redrive;
    this.#queues ??= await queuesOf(this.#desk, this.#id, redrive);
    const queues = this.#queues.filter((queue) => !this.#settled.has(queue));
    const limit = Math.min(stepTasks, Math.ceil((2 * stepTasks) / Math.max(1, queues.length)));
    const stands = await standsOf(this.#desk, this.#id, queues, { limit, round }, nowMs);
    const { counts, causes } = this.#past.standing;
    const past = { counts, causes: this.#past.round === round ? causes : {} };
    const open = queues.map((queue, n) => ({ queue, stand: stands[n]! }));
    const over = open.filter(({ stand }) => stand.counts.left === 0 && stand.counts.waiting === 0);
    for (const { queue } of over) this.#settled.add(queue);
    this.#past = { round, standing: added([past, ...over.map(({ stand }) => stand)]) };
    return { open, sum: added([past, ...stands]) };
  }

  /** Written only where something changes; what others wrote meanwhile is seen before anything is moved. */
  async #decided(redrive: RedriveDocument, next: RedriveDocument): Promise<RedriveDocument> {
    const changes = changesIn(redrive, next);
    if (Object.keys(changes).length > 0) return this.#change((latest) => unlessOver(latest, changes));
    return redrive.status === "running" ? (await readRedrive(this.#desk, this.#id)).redrive : redrive;
  }

  /** The oldest of all queues first, as many as may go now. */
  async #move(
    redrive: RedriveDocument,
    open: readonly { readonly queue: string; readonly stand: RedriveStand }[],
    counts: RedriveStanding["counts"],
  ) {
    const { settings, phase } = redrive;
    const { rate, rampMs } = settings;
    let most = Math.min(stepTasks, settings.inFlight - counts.waiting);
    if (settings.ordered) most = counts.waiting > 0 ? 0 : 1;
    else if (phase === "canary") most = settings.canary - movedOf(counts);
    else most = Math.min(most, this.#pace.allowed(rate, rampMs, redrive.rampAtMs, this.#desk.nowMs()));
    const all = open.flatMap(({ queue, stand }) => stand.left.map((one) => ({ ...one, queue })));
    const next = all.toSorted((a, b) => a.atMs - b.atMs).slice(0, Math.max(0, most));
    const changes = await inTurns([...new Set(next.map(({ queue }) => queue))], (queue) => {
      const ids = next.filter((one) => one.queue === queue).map(({ id }) => id);
      return moveLeft(this.#desk, this.#id, redrive, queue, ids);
    });
    const change = changes.reduce<RedriveStanding["counts"]>((sum, one) => addedCounts(sum, one), nothing.counts);
    if (phase === "moving") this.#pace.took(change.waiting);
    const nowMs = this.#desk.nowMs();
    if (change.waiting > 0 && nowMs - redrive.movedAtMs > 1_000)
      await this.#change((now) => ({ ...now, movedAtMs: nowMs }));
    return { tried: next.length, counts: change };
  }

  /** What is left is named as not moved, what was moved is looked at for the last time, and each queue lets go of its tasks. */
  async #end(redrive: RedriveDocument): Promise<RedriveStep> {
    const queues = await queuesOf(this.#desk, this.#id, redrive);
    const limit = Math.min(stepTasks, Math.ceil((10 * stepTasks) / Math.max(1, queues.length)));
    const nowMs = this.#desk.nowMs();
    const how = { limit, round: redrive.round };
    const stands = await standsOf(this.#desk, this.#id, queues, how, nowMs + anyLookMs);
    const open = queues.flatMap((queue, n) => {
      const { left, due } = stands[n]!;
      return left.length + due.length === 0 ? [] : [{ queue, left, due }];
    });
    const mark = markText({ fingerprint: "", retentionMs: 0, movedAtMs: 0, why: "cancelled" });
    await inTurns(open, async ({ queue, left, due }) => {
      const ids = left.map(({ id }) => id);
      // They run there: what stayed here as well would run once more some day.
      const brought = await broughtBefore(this.#desk, this.#id, redrive, queue, ids);
      if (brought.length > 0) await moveLeft(this.#desk, this.#id, redrive, queue, brought);
      const rest = ids.filter((id) => !brought.includes(id));
      const notes = rest.map((id) => ({ id, became: "notMoved" as const, mark, cause: "" }));
      if (notes.length > 0) await this.#desk.store.noteRedriven(this.#id, queue, notes, redrive.round);
      if (due.length > 0) await lookAtMoved(this.#desk, this.#id, redrive, queue, due, { nowMs, last: true });
    });
    if (open.length > 0) return here(redrive, 0);
    await inTurns(queues, (queue) => this.#letGo(queue));
    const standing = added(stands);
    const stored = await this.#changed((now) => ({
      ...now,
      phase: "ended",
      status: now.status === "cancelled" ? "cancelled" : "done",
      endedAtMs: this.#desk.nowMs(),
      driver: undefined,
      standing,
    }));
    if (stored.redrive.phase === "ended") await putAway(this.#desk, stored);
    return here(stored.redrive, soonMs, standing);
  }

  async #letGo(queue: string): Promise<void> {
    await this.#desk.store.endRedrive(this.#id, queue, this.#desk.nowMs(), keepMs);
  }
}

const here = (redrive: RedriveDocument, waitMs: number, standing?: RedriveStanding): RedriveStep => ({
  redrive,
  standing,
  driven: "here",
  waitMs,
});

/** What of it was changed here; all else may have been changed by others meanwhile. */
function changesIn(before: RedriveDocument, after: RedriveDocument): Partial<RedriveDocument> {
  const names = Object.keys(after) as (keyof RedriveDocument)[];
  return Object.fromEntries(names.filter((name) => after[name] !== before[name]).map((name) => [name, after[name]]));
}

/** Somebody may have cancelled it meanwhile: then it stays so, whatever was found here. */
function unlessOver(latest: RedriveDocument, changes: Partial<RedriveDocument>): RedriveDocument {
  const { phase, status, says } = latest;
  const isOver = status === "cancelled" || phase === "ending";
  return { ...latest, ...changes, ...(isOver ? { phase, status, says } : {}) };
}
