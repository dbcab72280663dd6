import type { Adopted, SpooledTask, SpoolOutcome, SpoolStats, SpoolStore, Unreadable } from "../../broker/spool.js";
import { Backlog } from "../../core/backlog.js";
import { HoldfastError } from "../../core/errors.js";
import { consoleLogger, type Logger, unfailing } from "../../core/log.js";
import type { NewTask } from "../../core/message.js";
import { tellBroker } from "../../core/telemetry.js";
import { UnderWay } from "../../core/under-way.js";
import { pack, unpack } from "../packed.js";
import { ThreadLink } from "../thread-link.js";
import { decodeRecord, encodeRecord } from "./record.js";
import { type FileSpoolOptions, type SpoolPlan, spoolPlan } from "./spool-options.js";
import type {
  Ended,
  ReadReply,
  SpoolCall,
  SpoolNotice,
  SpoolReply,
  SpoolThreadData,
  ToSpoolThread,
} from "./spool-protocol.js";

/**
 * Accepted tasks in a file on a local disk, one for each process that uses the directory. Opens with the first call; all
 * work is done in a thread.
 */
export class FileSpoolStore implements SpoolStore {
  readonly #plan: SpoolPlan;
  readonly #log: Logger;
  readonly #thread: ThreadLink<ToSpoolThread, SpoolReply, SpoolNotice>;
  readonly #listeners: ((adopted: Adopted) => void)[] = [];
  readonly #unreadableListeners: ((task: Unreadable) => void)[] = [];
  readonly #underWay = new UnderWay("the spool");
  readonly #waiting = new Backlog();
  #lastRead = 0;
  #closing: Promise<void> | undefined;

  /** @throws OPTION_INVALID; what is wrong with the directory itself is told by the first call */
  constructor(options: string | FileSpoolOptions, log: Logger = consoleLogger) {
    this.#plan = spoolPlan(options);
    this.#log = unfailing(log);
    this.#thread = new ThreadLink({
      name: "embedded/spool/spool-thread",
      data: (): SpoolThreadData => ({ plan: this.#plan, after: this.#lastRead }),
      started: () => {},
      heard: (notice) => this.#heard(notice),
      died: (cause) => this.#failed("its thread died", cause),
    });
  }

  get directory(): string {
    return this.#plan.directory;
  }

  async append(tasks: readonly NewTask[], nowMs: number): Promise<number> {
    const records = pack(tasks.map(encodeRecord));
    const ids = tasks.map(({ message }) => message.id);
    const bytes = records.bytes.length;
    if (!this.#waiting.hasRoomFor(bytes))
      throw this.#failed(`${this.#waiting.bytes} bytes wait for its disk, and this was not accepted`);
    return this.#waiting.hold(bytes, this.#ask({ verb: "append", ids, records, nowMs }, [records.bytes.buffer]));
  }

  async read(after: number, limit: number): Promise<readonly SpooledTask[]> {
    for (let from = after; ;) {
      // oxlint-disable-next-line no-await-in-loop -- where none could be read, the next are what was asked for
      const { tasks, records } = await this.#ask<ReadReply>({ verb: "read", after: from, limit });
      const last = tasks.at(-1)?.sequence;
      if (last === undefined) return [];
      this.#lastRead = Math.max(this.#lastRead, last);
      const bytes = unpack(records);
      const read: SpooledTask[] = [];
      const parked: { sequence: number; outcome: SpoolOutcome & { readonly status: "parked" } }[] = [];
      for (const [n, { sequence, id, atMs }] of tasks.entries()) {
        try {
          read.push({ sequence, acceptedAtMs: atMs, task: decodeRecord(bytes[n]!) });
        } catch (error) {
          const problem = `it cannot be read: ${(error as Error).message}`.slice(0, 500);
          parked.push({ sequence, outcome: { status: "parked", id, problem } });
        }
      }
      // oxlint-disable-next-line no-await-in-loop -- as above
      if (parked.length > 0) await this.release(parked);
      for (const { outcome } of parked) for (const listener of this.#unreadableListeners) listener(outcome);
      if (read.length > 0) return read;
      from = last;
    }
  }

  async release(ended: readonly Ended[]): Promise<void> {
    if (ended.length > 0) await this.#ask({ verb: "release", ended });
  }

  async outcomes(ids: readonly string[]): Promise<(SpoolOutcome | undefined)[]> {
    return this.#ask({ verb: "outcomes", ids });
  }

  async stats(): Promise<SpoolStats> {
    return this.#ask({ verb: "stats" });
  }

  onAdopted(listener: (adopted: Adopted) => void): void {
    this.#listeners.push(listener);
  }

  onUnreadable(listener: (task: Unreadable) => void): void {
    this.#unreadableListeners.push(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#underWay.end();
    await this.#thread.end({ to: "end" });
  }

  async #ask<T extends SpoolReply>(call: SpoolCall, transfer: readonly ArrayBuffer[] = []): Promise<T> {
    const answer = this.#underWay.run(() => this.#thread.call((number) => ({ to: "store", number, call }), transfer));
    return (await answer) as T;
  }

  #failed(problem: string, cause?: unknown): HoldfastError {
    return new HoldfastError("SPOOL_FAILED", { directory: this.#plan.directory, problem }, { cause });
  }

  #heard(notice: SpoolNotice): void {
    const { directory } = this.#plan;
    switch (notice.news) {
      case "opened":
        if (!notice.sealed) {
          this.#log.warn({ directory }, "no key is given: what is spooled lies in clear in files of this user");
        }
        if (notice.reservation !== undefined) {
          this.#log.warn({ directory }, `the spool may not keep what it accepts: ${notice.reservation}`);
        }
        return;
      case "adopted": {
        const { home, tasks, parked } = notice;
        this.#log.info({ directory, home, tasks, parked }, "tasks of a process that died are taken over");
        tellBroker({ event: "spoolAdopted", directory, tasks });
        for (const listener of this.#listeners) listener(notice);
        return;
      }
      case "damaged": {
        const { problem, lost, kept } = notice;
        const sentence = "a file of the spool is damaged: what could be read is taken over, the file is kept";
        this.#log.error({ directory, problem, lost, kept }, sentence);
        tellBroker({ event: "spoolDamaged", directory, problem, lost, kept });
        return;
      }
      case "old":
        this.#log.warn(
          { directory, since: new Date(notice.oldestAtMs) },
          "tasks have waited in the spool for too long",
        );
        tellBroker({ event: "spoolOld", directory, oldestAtMs: notice.oldestAtMs });
        return;
      case "trouble":
        this.#log.error({ directory, problem: notice.problem }, "something is wrong with the spool");
        return;
    }
    notice satisfies never;
  }
}
