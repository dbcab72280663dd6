import type { TaskRef } from "../../broker/broker.js";
import type { DeadLetterStore } from "../../broker/dead-letters.js";
import type { DocumentKind, DocumentReceipt, DocumentWrite, StoredDocument } from "../../broker/documents.js";
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
import type { RedisLink } from "../link.js";
import { readDocuments, writeDocuments } from "./documents.js";
import { diedSince, evict, evicted, inReachOfGo } from "./eviction.js";
import { failureGroups, groupMembers, indexDeadLetters, knownCauses } from "./groups.js";
import { adoptLetters, readLetters } from "./letters.js";
import { countOutcomes, outcomeCounts } from "./outcome-counts.js";
import { acknowledge, beginCopy, endCopy, quarantine } from "./marks.js";
import { oldestUnacknowledged } from "./oldest.js";
import { chooseDead, endRedrive, moveDead, noteRedriven, redrivenTasks, redriveStands } from "./redrive.js";
import { discard, listTrash, purge, restore } from "./trash.js";

/** Runs a verb as the broker runs its own. */
export type Run = <T>(verb: (link: RedisLink) => Promise<T>) => Promise<T>;

/** The verbs are in files of their own. */
export class RedisDeadLetters implements DeadLetterStore {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  async readDocuments(kind: DocumentKind, ids?: readonly string[]): Promise<StoredDocument[]> {
    return this.#run((link) => readDocuments(link, kind, ids));
  }

  async writeDocuments(
    kind: DocumentKind,
    writes: readonly DocumentWrite[],
    nowMs: number,
  ): Promise<DocumentReceipt[]> {
    return this.#run((link) => writeDocuments(link, kind, writes, nowMs));
  }

  async countOutcomes(counts: readonly OutcomeCount[]): Promise<void> {
    return this.#run((link) => countOutcomes(link, counts));
  }

  async outcomeCounts(queues: readonly string[]): Promise<OutcomeCount[]> {
    return this.#run((link) => outcomeCounts(link, queues));
  }

  async evict(
    queue: string,
    letters: readonly SeenLetter[],
    cause: EvictionCause,
    by: Act,
    nowMs: number,
  ): Promise<EvictionReceipt[]> {
    return this.#run((link) => evict(link, queue, letters, cause, by, nowMs));
  }

  async evicted(queues: readonly string[]): Promise<Partial<Record<EvictionCause, number>>[]> {
    return this.#run((link) => evicted(link, queues));
  }

  async diedSince(queues: readonly string[], timesMs: readonly number[]): Promise<number[][]> {
    return this.#run((link) => diedSince(link, queues, timesMs));
  }

  async inReachOfGo(queues: readonly string[]): Promise<number[]> {
    return this.#run((link) => inReachOfGo(link, queues));
  }

  async chooseDead(
    redrive: string,
    queue: string,
    tasks: readonly Chosen[],
    how: Choosing,
    _nowMs: number,
  ): Promise<ChooseReceipt[]> {
    return this.#run((link) => chooseDead(link, redrive, queue, tasks, how));
  }

  async redriveStands(
    redrive: string,
    queues: readonly string[],
    how: StandAsking,
    nowMs: number,
  ): Promise<RedriveStand[]> {
    return this.#run((link) => redriveStands(link, redrive, queues, how, nowMs));
  }

  async moveDead(
    redrive: string,
    queue: string,
    moves: readonly DeadMove[],
    how: DeadMoving,
    by: Act,
    nowMs: number,
  ): Promise<DeadMoveReceipt[]> {
    return this.#run((link) => moveDead(link, redrive, queue, moves, how, by, nowMs));
  }

  async noteRedriven(redrive: string, queue: string, notes: readonly RedriveNote[], round: number): Promise<void> {
    return this.#run((link) => noteRedriven(link, redrive, queue, notes, round));
  }

  async endRedrive(redrive: string, queue: string, nowMs: number, keepMs: number): Promise<void> {
    return this.#run((link) => endRedrive(link, redrive, queue, nowMs, keepMs));
  }

  async redrivenTasks(redrive: string, queue: string, page: RedrivenPage): Promise<Page<RedrivenTask>> {
    return this.#run((link) => redrivenTasks(link, redrive, queue, page));
  }

  async discard(
    queue: string,
    ids: readonly string[],
    untilMs: number,
    by: Act,
    nowMs: number,
  ): Promise<DiscardReceipt[]> {
    return this.#run((link) => discard(link, queue, ids, untilMs, by, nowMs));
  }

  async restore(queue: string, ids: readonly string[], by: Act, nowMs: number): Promise<RestoreReceipt[]> {
    return this.#run((link) => restore(link, queue, ids, by, nowMs));
  }

  async purge(queue: string, ids: readonly string[], by: Act, nowMs: number): Promise<PurgeReceipt[]> {
    return this.#run((link) => purge(link, queue, ids, by, nowMs));
  }

  async listTrash(queue: string, page: PageRequest): Promise<Page<DiscardedTask>> {
    return this.#run((link) => listTrash(link, queue, page));
  }

  async acknowledge(
    queue: string,
    ids: readonly string[],
    on: boolean,
    by: Act,
    nowMs: number,
  ): Promise<AcknowledgeReceipt[]> {
    return this.#run((link) => acknowledge(link, queue, ids, on, by, nowMs));
  }

  async oldestUnacknowledged(from: readonly LettersFrom[], limit: number): Promise<OldestLetter[]> {
    return this.#run((link) => oldestUnacknowledged(link, from, limit));
  }

  async quarantine(
    queue: string,
    ids: readonly string[],
    on: boolean,
    by: Act,
    nowMs: number,
  ): Promise<QuarantineReceipt[]> {
    return this.#run((link) => quarantine(link, queue, ids, on, by, nowMs));
  }

  async beginCopy(of: TaskRef, copy: NewCopy, by: Act, nowMs: number): Promise<CopyBegun> {
    return this.#run((link) => beginCopy(link, of, copy, by, nowMs));
  }

  async endCopy(of: TaskRef, made: boolean, by: Act, nowMs: number): Promise<void> {
    return this.#run((link) => endCopy(link, of, made, by, nowMs));
  }

  async readLetters(refs: readonly TaskRef[]): Promise<(StoredLetter | undefined)[]> {
    return this.#run((link) => readLetters(link, refs));
  }

  async adoptLetters(letters: readonly StoredLetter[], by: Act, nowMs: number): Promise<AdoptReceipt[]> {
    return this.#run((link) => adoptLetters(link, letters, by, nowMs));
  }

  async indexDeadLetters(queues: readonly string[], limit: number, nowMs: number, atOnce = false): Promise<number> {
    return this.#run((link) => indexDeadLetters(link, queues, limit, nowMs, atOnce));
  }

  async failureGroups(queues: readonly string[], nowMs: number): Promise<QueueGroups[]> {
    return this.#run((link) => failureGroups(link, queues, nowMs));
  }

  async groupMembers(queue: string, fingerprint: Fingerprint, page: PageRequest): Promise<Page<TaskInfo>> {
    return this.#run((link) => groupMembers(link, queue, fingerprint, page));
  }

  async knownCauses(queue: string, page: PageRequest): Promise<Page<KnownCause>> {
    return this.#run((link) => knownCauses(link, queue, page));
  }
}
