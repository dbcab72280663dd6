import { DocumentLease } from "../../broker/document-lease.js";
import { groupOf } from "../../broker/failure-groups.js";
import type { RedriveCounts, RedriveStand } from "../../broker/redriving.js";
import type { Desk } from "../desk.js";
import { withEnd } from "./brake.js";
import { choose, countedBy, sifted } from "./chooser.js";
import { changeRedrive, keepMs, kind, readRedrive, type RedriveDocument, redriveIn } from "./document.js";
import { ineligible } from "./eligible.js";
import { type Moved, moveTasks } from "./mover.js";
import { judged, type Mark, markOf, markText, retentionToSee } from "./outcome.js";
import { movedOf, nextOf } from "./next.js";
import { Pace } from "./pace.js";
import { selected } from "./selection.js";
import { addedCounts, countsOf, noCounts } from "./standing.js";

/** How long a driver that says nothing is taken for alive. */
export const leaseMs = 10_000;
/** Tasks of a queue that one step looks at, or moves. */
const stepTasks = 500;
/** Pages of a selection that one step looks at. */
const stepPages = 10;
/** Between two steps, at the least and at the most. */
const soonMs = 50;
const restMs = 500;

export interface RedriveStep {
  readonly redrive: RedriveDocument;
  readonly counts: RedriveCounts;
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
  readonly #pace = new Pace();

  constructor(desk: Desk, id: string, owner: string) {
    this.#desk = desk;
    this.#id = id;
    this.#owner = owner;
    const only = (value: unknown) => (value as Partial<RedriveDocument> | null)?.phase !== "ended";
    this.#lease = new DocumentLease(desk.store, { kind, id, field: "driver", only, leaseMs, holder: owner });
  }

  /** One bounded step. @throws REDRIVE_NOT_FOUND, and what storage throws: the next step goes on where this one stopped */
  async step(): Promise<RedriveStep> {
    const redrive = await this.#held();
    if (redrive.phase === "ended") return this.#answer(redrive, restMs);
    if (redrive.driver?.holder !== this.#owner) {
      this.#selecting = undefined;
      const waitMs = Math.max(soonMs, (redrive.driver?.untilMs ?? 0) - this.#desk.nowMs());
      return { redrive, counts: await this.#countsOf(redrive), driven: "elsewhere", waitMs };
    }
    if (redrive.phase === "ending") return this.#end(redrive);
    if (redrive.phase !== "choosing") return this.#go(redrive);
    return redrive.status === "running" ? this.#choose(redrive) : this.#answer(redrive, restMs);
  }

  /** Lets others drive it. */
  async release(): Promise<void> {
    await this.#lease.release(this.#desk.nowMs());
  }

  /** As it is stored, with our lease in it where nobody else has it. */
  async #held(): Promise<RedriveDocument> {
    const { found } = await this.#lease.look(this.#desk.nowMs());
    return redriveIn(this.#id, found).redrive;
  }

  async #change(change: (redrive: RedriveDocument) => RedriveDocument): Promise<RedriveDocument> {
    // Somebody else's by now: it is no longer ours to change.
    const { redrive } = await changeRedrive(this.#desk, this.#id, (now) =>
      now.driver?.holder === this.#owner ? change(now) : undefined,
    );
    return redrive;
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

  async #choosePages({ selection, settings, createdAtMs, queues }: RedriveDocument): Promise<RedriveStep> {
    if (this.#selecting === undefined) {
      this.#selecting = selected(this.#desk, selection, createdAtMs);
      this.#skipped = {};
    }
    let known = queues;
    for (let page = 0; page < stepPages; page += 1) {
      const { value } = await this.#selecting.next();
      if (value === undefined) return this.#chosen(settings);
      const { fit, refused } = sifted(value, settings, this.#desk.nowMs());
      const all = [...new Set([...known, ...fit.keys()])];
      if (page === 0 || all.length > known.length) {
        known = all;
        // Named first: what is chosen in a queue must be found there by whoever ends it.
        const now = await this.#change((latest) => ({ ...latest, queues: all }));
        if (now.driver?.holder !== this.#owner) return this.#answer(now, soonMs);
      }
      for (const [queue, tasks] of fit)
        refused.push(...(await choose(this.#desk, this.#id, queue, tasks, settings, false)));
      this.#skipped = countedBy(this.#skipped, refused);
      const { redrive: latest } = await readRedrive(this.#desk, this.#id);
      if (latest.status === "cancelled") {
        // It may have been over before these were chosen: nobody would let go of them.
        for (const queue of fit.keys()) await this.#desk.store.endRedrive(this.#id, queue, this.#desk.nowMs(), keepMs);
        return this.#answer(latest, 0);
      }
    }
    return this.#answer((await readRedrive(this.#desk, this.#id)).redrive, 0);
  }

  async #chosen({ canary, ordered }: RedriveDocument["settings"]): Promise<RedriveStep> {
    this.#selecting = undefined;
    const phase = canary > 0 && !ordered ? "canary" : "moving";
    const rampAtMs = this.#desk.nowMs();
    const redrive = await this.#change((now) => unlessOver(now, { phase, skipped: this.#skipped, rampAtMs }));
    return this.#answer(redrive, 0);
  }

  /** Looks at what was moved, stops where it must, and moves what is next. */
  async #go(redrive: RedriveDocument): Promise<RedriveStep> {
    const { queues } = redrive;
    const nowMs = this.#desk.nowMs();
    const stands = await Promise.all(
      queues.map((queue) => this.#desk.store.redriveStand(this.#id, queue, stepTasks, nowMs)),
    );
    const looks = await Promise.all(queues.map((queue, n) => this.#look(queue, stands[n]!.due, redrive, nowMs)));
    const ends = looks.flat();
    let { causes } = redrive;
    for (const { fingerprint, failed } of ends) causes = withEnd(causes, fingerprint, failed);
    const counts = stands.reduce((sum, stand) => addedCounts(sum, stand.counts), noCounts);
    const waiting = counts.waiting - ends.length;
    const next = nextOf({ ...redrive, causes }, counts, waiting, nowMs);
    const now = await this.#change((latest) => unlessOver(latest, changesIn(redrive, next)));
    if (now.status !== "running" || now.driver?.holder !== this.#owner) return this.#answer(now, restMs);
    const isMoving = now.phase === "canary" || now.phase === "moving";
    const tried = isMoving ? await this.#move(now, stands, counts, waiting) : 0;
    return this.#answer(now, tried + ends.length > 0 || now.phase !== redrive.phase ? soonMs : restMs);
  }

  async #look(queue: string, due: RedriveStand["due"], { settings }: RedriveDocument, nowMs: number) {
    if (due.length === 0) return [];
    const { broker, store } = this.#desk;
    const there = settings.queue ?? queue;
    const tasks = await broker.find(due.map(({ id }) => ({ queue: there, id })));
    const judgements = due.map(({ id, mark }, n) => ({
      ...judged(id, markOf(mark), tasks[n], nowMs),
      mark: markOf(mark),
    }));
    const notes = judgements.map(({ note }) => note);
    if (there === queue) await store.noteRedriven(this.#id, queue, notes);
    else {
      await store.noteRedriven(
        this.#id,
        queue,
        notes.map((note) => ({ ...note, fix: undefined })),
      );
      const fixes = notes
        .filter(({ fix }) => fix !== undefined)
        .map((note) => ({ ...note, became: "" as const, mark: "" }));
      if (fixes.length > 0) await store.noteRedriven(this.#id, there, fixes);
    }
    return judgements.flatMap(({ end, mark: { fingerprint } }) =>
      end === undefined ? [] : [{ fingerprint, failed: end === "failedSame" || end === "failedOther" }],
    );
  }

  /** The oldest of all queues first, as many as may go now. Answers how many were tried. */
  async #move(
    redrive: RedriveDocument,
    stands: readonly RedriveStand[],
    counts: RedriveCounts,
    waiting: number,
  ): Promise<number> {
    const { settings, phase, queues } = redrive;
    const { rate, rampMs } = settings;
    let most = Math.min(stepTasks, settings.inFlight - waiting);
    if (settings.ordered) most = waiting > 0 ? 0 : 1;
    else if (phase === "canary") most = settings.canary - movedOf(counts);
    else most = Math.min(most, this.#pace.allowed(rate, rampMs, redrive.rampAtMs, this.#desk.nowMs()));
    const all = stands.flatMap(({ left }, n) => left.map((one) => ({ ...one, queue: queues[n]! })));
    const next = all.toSorted((a, b) => a.atMs - b.atMs).slice(0, Math.max(0, most));
    let moved = 0;
    for (const queue of new Set(next.map((one) => one.queue))) {
      const ids = next.filter((one) => one.queue === queue).map(({ id }) => id);
      moved += await this.#moveIn(queue, ids, redrive);
    }
    if (phase === "moving") this.#pace.took(moved);
    const nowMs = this.#desk.nowMs();
    if (moved > 0 && nowMs - redrive.movedAtMs > 1_000) await this.#change((now) => ({ ...now, movedAtMs: nowMs }));
    return next.length;
  }

  async #moveIn(queue: string, ids: readonly string[], { settings, by }: RedriveDocument): Promise<number> {
    const { broker, store } = this.#desk;
    const nowMs = this.#desk.nowMs();
    const found = await broker.find(ids.map((id) => ({ queue, id })));
    const results = new Map<string, Moved>();
    const tasks = found.flatMap((task, n) => {
      const why =
        task === undefined ? "notFound" : task.state === "archived" ? ineligible(task, settings, nowMs) : "notDead";
      if (why !== undefined) results.set(ids[n]!, { status: why });
      return why === undefined ? [task!] : [];
    });
    const newMark = (fingerprint: string, retentionMs: number): Mark => ({
      fingerprint,
      retentionMs,
      movedAtMs: nowMs,
    });
    const receipts = await moveTasks(this.#desk, queue, tasks, {
      redrive: this.#id,
      settings,
      by,
      dueMs: 0,
      lookAtMs: nowMs,
      markOf: (task) => ({
        mark: markText(newMark(groupOf(task), task.message!.retentionMs)),
        retentionMs: retentionToSee(task.message!.retentionMs),
      }),
    });
    for (const [n, task] of tasks.entries()) results.set(task.id, receipts[n]!);
    const notes = [...results].flatMap(([id, { status, holder }]) =>
      status === "moved" || status === "changed" || status === "done"
        ? []
        : [{ id, became: "notMoved" as const, mark: markText({ ...newMark("", 0), why: status, holder }) }],
    );
    if (notes.length > 0) await store.noteRedriven(this.#id, queue, notes);
    return [...results.values()].filter(({ status }) => status === "moved").length;
  }

  /** What is left is named as not moved, and each queue lets go of its tasks. */
  async #end(redrive: RedriveDocument): Promise<RedriveStep> {
    const { store, nowMs } = this.#desk;
    let left = 0;
    for (const queue of redrive.queues) {
      const stand = await store.redriveStand(this.#id, queue, stepTasks, nowMs());
      const mark = markText({ fingerprint: "", retentionMs: 0, movedAtMs: 0, why: "cancelled" });
      const notes = stand.left.map(({ id }) => ({ id, became: "notMoved" as const, mark }));
      if (notes.length > 0) await store.noteRedriven(this.#id, queue, notes);
      left += stand.counts.left - notes.length;
    }
    if (left > 0) return this.#answer(redrive, 0);
    for (const queue of redrive.queues) await store.endRedrive(this.#id, queue, nowMs(), keepMs);
    const ended = await this.#change((now) => ({
      ...now,
      phase: "ended",
      status: now.status === "cancelled" ? "cancelled" : "done",
      endedAtMs: nowMs(),
      driver: undefined,
    }));
    return this.#answer(ended, soonMs);
  }

  async #answer(redrive: RedriveDocument, waitMs: number): Promise<RedriveStep> {
    return { redrive, counts: await this.#countsOf(redrive), driven: "here", waitMs };
  }

  #countsOf({ queues }: RedriveDocument): Promise<RedriveCounts> {
    return countsOf(this.#desk, this.#id, queues);
  }
}

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
