import type { TaskRef } from "../../broker/broker.js";
import type { DeadLetterStore } from "../../broker/dead-letters.js";
import {
  type DocumentKind,
  type DocumentReceipt,
  type DocumentWrite,
  type StoredDocument,
  textOf,
} from "../../broker/documents.js";
import type { EvictionCause, EvictionReceipt, SeenLetter } from "../../broker/eviction.js";
import type {
  AcknowledgeReceipt,
  CopyBegun,
  LettersFrom,
  NewCopy,
  OldestLetter,
  QuarantineReceipt,
} from "../../broker/letter-marks.js";
import type { KnownCause, QueueGroups } from "../../broker/failure-groups.js";
import type {
  ChooseReceipt,
  Choosing,
  Chosen,
  DeadMove,
  DeadMoveReceipt,
  DeadMoving,
  RedriveNote,
  RedrivenPage,
  RedrivenTask,
  RedriveStand,
  StandAsking,
} from "../../broker/redriving.js";
import type { OutcomeCount } from "../../broker/outcome-counts.js";
import type { Act } from "../../broker/roles.js";
import type { AdoptReceipt, StoredLetter } from "../../broker/stored-letter.js";
import type { DiscardedTask, DiscardReceipt, PurgeReceipt, RestoreReceipt } from "../../broker/trash.js";
import type { Fingerprint } from "../../core/fingerprint.js";
import type { Page, PageRequest, TaskInfo } from "../../core/info.js";
import { allParts, inParts } from "../parts.js";
import { taskInfo } from "../rows.js";
import type { StoreLink } from "../store-link.js";

/** Asks the store as the broker does. */
export type Ask = <T>(call: (link: StoreLink) => Promise<T>) => Promise<T>;

/** The verbs are in files of their own. */
export class EmbeddedDeadLetters implements DeadLetterStore {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  async readDocuments(kind: DocumentKind, ids?: readonly string[]): Promise<StoredDocument[]> {
    return this.#ask((link) => link.call("readDocuments", { kind, ids }));
  }

  async writeDocuments(
    kind: DocumentKind,
    writes: readonly DocumentWrite[],
    nowMs: number,
  ): Promise<DocumentReceipt[]> {
    const rows = writes.map(({ id, value, ifVersion }) => ({ id, text: textOf(id, value), ifVersion }));
    return this.#ask((link) => link.call("writeDocuments", { kind, rows, nowMs }));
  }

  async evict(
    queue: string,
    letters: readonly SeenLetter[],
    cause: EvictionCause,
    by: Act,
    nowMs: number,
  ): Promise<EvictionReceipt[]> {
    return this.#ask((link) => link.call("evict", { queue, letters, cause, by, nowMs }));
  }

  async evicted(queues: readonly string[]): Promise<Partial<Record<EvictionCause, number>>[]> {
    return this.#ask((link) => link.call("evicted", { queues }));
  }

  async countOutcomes(counts: readonly OutcomeCount[]): Promise<void> {
    await this.#ask((link) => link.call("countOutcomes", { counts }));
  }

  async outcomeCounts(queues: readonly string[]): Promise<OutcomeCount[]> {
    return this.#ask((link) => link.call("outcomeCounts", { queues }));
  }

  async diedSince(queues: readonly string[], timesMs: readonly number[]): Promise<number[][]> {
    return this.#ask((link) => link.call("diedSince", { queues, timesMs }));
  }

  async inReachOfGo(queues: readonly string[]): Promise<number[]> {
    return queues.map(() => 0);
  }

  async chooseDead(
    redrive: string,
    queue: string,
    tasks: readonly Chosen[],
    how: Choosing,
    nowMs: number,
  ): Promise<ChooseReceipt[]> {
    return this.#inParts(tasks, (link, part) => link.call("chooseDead", { redrive, queue, tasks: part, how, nowMs }));
  }

  async redriveStands(
    redrive: string,
    queues: readonly string[],
    how: StandAsking,
    nowMs: number,
  ): Promise<RedriveStand[]> {
    return this.#ask((link) => link.call("redriveStands", { redrive, queues, ...how, nowMs }));
  }

  async moveDead(
    redrive: string,
    queue: string,
    moves: readonly DeadMove[],
    how: DeadMoving,
    by: Act,
    nowMs: number,
  ): Promise<DeadMoveReceipt[]> {
    return this.#inParts(moves, (link, part) => link.call("moveDead", { redrive, queue, moves: part, how, by, nowMs }));
  }

  async noteRedriven(redrive: string, queue: string, notes: readonly RedriveNote[], round: number): Promise<void> {
    await this.#inParts(notes, async (link, part) => {
      await link.call("noteRedriven", { redrive, queue, notes: part, round });
      return [];
    });
  }

  async endRedrive(redrive: string, queue: string, nowMs: number, keepMs: number): Promise<void> {
    return this.#ask((link) => link.call("endRedrive", { redrive, queue, nowMs, keepMs }));
  }

  async redrivenTasks(redrive: string, queue: string, page: RedrivenPage): Promise<Page<RedrivenTask>> {
    return this.#ask((link) => link.call("redrivenTasks", { redrive, queue, page }));
  }

  async discard(
    queue: string,
    ids: readonly string[],
    untilMs: number,
    by: Act,
    nowMs: number,
  ): Promise<DiscardReceipt[]> {
    return this.#inParts(ids, (link, some) => link.call("discard", { queue, ids: some, untilMs, by, nowMs }));
  }

  async restore(queue: string, ids: readonly string[], by: Act, nowMs: number): Promise<RestoreReceipt[]> {
    return this.#inParts(ids, (link, some) => link.call("restore", { queue, ids: some, by, nowMs }));
  }

  async purge(queue: string, ids: readonly string[], by: Act, nowMs: number): Promise<PurgeReceipt[]> {
    return this.#inParts(ids, (link, some) => link.call("purge", { queue, ids: some, by, nowMs }));
  }

  async listTrash(queue: string, page: PageRequest): Promise<Page<DiscardedTask>> {
    const { items, ...places } = await this.#ask((link) => link.call("listTrash", { queue, page }));
    return { items: items.map(({ row, ...rest }) => ({ task: taskInfo(row), ...rest })), ...places };
  }

  async acknowledge(
    queue: string,
    ids: readonly string[],
    on: boolean,
    by: Act,
    nowMs: number,
  ): Promise<AcknowledgeReceipt[]> {
    return this.#inParts(ids, (link, some) => link.call("acknowledge", { queue, ids: some, on, by, nowMs }));
  }

  async oldestUnacknowledged(from: readonly LettersFrom[], limit: number): Promise<OldestLetter[]> {
    return this.#ask((link) => link.call("oldestUnacknowledged", { from, limit }));
  }

  async quarantine(
    queue: string,
    ids: readonly string[],
    on: boolean,
    by: Act,
    nowMs: number,
  ): Promise<QuarantineReceipt[]> {
    return this.#inParts(ids, (link, some) => link.call("quarantine", { queue, ids: some, on, by, nowMs }));
  }

  async beginCopy(of: TaskRef, copy: NewCopy, by: Act, nowMs: number): Promise<CopyBegun> {
    return this.#ask((link) => link.call("beginCopy", { of, copy, by, nowMs }));
  }

  async endCopy(of: TaskRef, made: boolean, by: Act, nowMs: number): Promise<void> {
    await this.#ask((link) => link.call("endCopy", { of, made, by, nowMs }));
  }

  async readLetters(refs: readonly TaskRef[]): Promise<(StoredLetter | undefined)[]> {
    return this.#inParts(refs, (link, some) => link.call("readLetters", { refs: some }));
  }

  async adoptLetters(letters: readonly StoredLetter[], by: Act, nowMs: number): Promise<AdoptReceipt[]> {
    return this.#inParts(letters, (link, some) => link.call("adoptLetters", { letters: some, by, nowMs }));
  }

  /** Long lists travel in parts, each of which is one transaction at the most. */
  async #inParts<T, R>(list: readonly T[], call: (link: StoreLink, part: readonly T[]) => Promise<R[]>): Promise<R[]> {
    return this.#ask(async (link) => allParts(await Promise.allSettled(inParts(list).map((part) => call(link, part)))));
  }

  /** No other program changes rows under us: every step sees all there is. */
  async indexDeadLetters(queues: readonly string[], limit: number): Promise<number> {
    return this.#ask((link) => link.call("indexDeadLetters", { queues, limit }));
  }

  async failureGroups(queues: readonly string[], nowMs: number): Promise<QueueGroups[]> {
    return this.#ask((link) => link.call("failureGroups", { queues, nowMs }));
  }

  async groupMembers(queue: string, fingerprint: Fingerprint, page: PageRequest): Promise<Page<TaskInfo>> {
    const { items, ...places } = await this.#ask((link) => link.call("groupMembers", { queue, fingerprint, page }));
    return { items: items.map(taskInfo), ...places };
  }

  async knownCauses(queue: string, page: PageRequest): Promise<Page<KnownCause>> {
    return this.#ask((link) => link.call("knownCauses", { queue, page }));
  }
}
