import type { DeadLetterStore } from "../../broker/dead-letters.js";
import type { DocumentKind, DocumentReceipt, DocumentWrite, StoredDocument } from "../../broker/documents.js";
import type { EvictionCause, EvictionReceipt, SeenLetter } from "../../broker/eviction.js";
import type { Act } from "../../broker/roles.js";
import type { RedisLink } from "../link.js";
import { readDocuments, writeDocuments } from "./documents.js";
import { diedSince, evict, evicted, inReachOfGo } from "./eviction.js";
import type {
  ChooseReceipt,
  Choosing,
  Chosen,
  DeadMove,
  DeadMoveReceipt,
  DeadMoving,
  RedriveNote,
  RedrivenTask,
  RedriveStand,
} from "../../broker/redriving.js";
import type { Page } from "../../core/info.js";
import { chooseDead, endRedrive, moveDead, noteRedriven, redrivenTasks, redriveStand } from "./redrive.js";

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

  async redriveStand(redrive: string, queue: string, limit: number, nowMs: number): Promise<RedriveStand> {
    return this.#run((link) => redriveStand(link, redrive, queue, limit, nowMs));
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

  async noteRedriven(redrive: string, queue: string, notes: readonly RedriveNote[]): Promise<void> {
    return this.#run((link) => noteRedriven(link, redrive, queue, notes));
  }

  async endRedrive(redrive: string, queue: string, nowMs: number, keepMs: number): Promise<void> {
    return this.#run((link) => endRedrive(link, redrive, queue, nowMs, keepMs));
  }

  async redrivenTasks(
    redrive: string,
    queue: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<Page<RedrivenTask>> {
    return this.#run((link) => redrivenTasks(link, redrive, queue, page));
  }
}
