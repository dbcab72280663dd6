import { appendFileSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../core/clock.js";
import { type EncryptionKey, type EncryptionKeys, encryptionKeys } from "../../core/encryption-key.js";
import { HoldfastError, invalidOption, shown } from "../../core/errors.js";
import type { TaskMessage } from "../../core/message.js";
import { directoryPath } from "../../core/own-directory.js";
import { type Driver, loadDriver } from "../driver.js";
import { openDead } from "./dead-file.js";
import { Home, homesIn, type Owner, ownerOf } from "./home.js";
import { decodeRecord } from "./record.js";
import { asSpoolError, isBroken, problemOf } from "./spool-error.js";
import { type ListedRow, SpoolFile } from "./spool-file.js";

/** One process's part of a spool. */
export interface SpoolPart {
  readonly name: string;
  /** Undefined where its note is missing. */
  readonly owner: Owner | undefined;
  /** Its process runs, and works on it. */
  readonly alive: boolean;
  readonly tasks: number;
  readonly bytes: number;
  readonly oldestAtMs: number | undefined;
  readonly parked: number;
  /** Why it cannot be read, or not all of it. */
  readonly problem: string | undefined;
}

export interface SpooledTaskInfo {
  readonly sequence: number;
  readonly id: string;
  readonly acceptedAtMs: number;
  readonly parked: { readonly problem: string; readonly atMs: number } | undefined;
  /** Undefined where it is sealed and the key is not given, or damaged. The payload is empty unless it was asked for. */
  readonly message: TaskMessage | undefined;
}

/**
 * Looks into a spool's directory from outside, whether or not its processes run.
 *
 * @example
 * const spools = await openSpools("./spool");
 * for (const { name, alive, tasks } of spools.list()) console.log(name, alive, tasks);
 * @throws OPTION_INVALID BROKER_INCOMPATIBLE
 */
export async function openSpools(directory: string, options: { readonly key?: EncryptionKey } = {}): Promise<Spools> {
  const path = directoryPath(directory, "directory");
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw invalidOption("directory", `must be a spool's directory, ${shown(directory)} is none`);
  }
  const keys = options.key === undefined ? [] : encryptionKeys(options.key, "key");
  return new Spools(await loadDriver(), path, keys);
}

/** All calls block until they are done; what a living process has is only looked at. */
export class Spools {
  readonly #driver: Driver;
  readonly #keys: EncryptionKeys;
  readonly directory: string;

  constructor(driver: Driver, directory: string, keys: EncryptionKeys) {
    this.#driver = driver;
    this.directory = directory;
    this.#keys = keys;
  }

  list(): SpoolPart[] {
    return homesIn(this.directory).map((name) => {
      const owner = ownerOf(this.directory, name);
      const nothing = { tasks: 0, bytes: 0, parked: 0, oldestAtMs: undefined };
      return this.#looking(name, (alive, file, problem) => {
        if (file === undefined) return { name, owner, alive, ...nothing, problem };
        try {
          return { name, owner, alive, ...file.count(), oldestAtMs: file.oldestAtMs(), problem };
        } catch (error) {
          return { name, owner, alive, ...nothing, problem: problem ?? problemOf(error) };
        }
      });
    });
  }

  /** In the order of acceptance, behind that sequence. @throws OPTION_INVALID SPOOL_FAILED */
  tasks(
    name: string,
    { after = 0, limit = 100, payload = false }: { after?: number; limit?: number; payload?: boolean } = {},
  ): SpooledTaskInfo[] {
    this.#requireKnown(name);
    return this.#looking(name, (_, file, problem) => {
      if (file === undefined) {
        if (problem === undefined) return [];
        throw new HoldfastError("SPOOL_FAILED", { directory: this.directory, problem });
      }
      try {
        return file.listed(after, limit).map((row) => taskInfo(file, row, payload));
      } catch (error) {
        throw asSpoolError(error, this.directory);
      }
    });
  }

  /**
   * Deletes what a dead process left, and writes down in `removed.jsonl` who did. What holds tasks goes only by `force`:
   * they were accepted, and nobody else has them.
   * @throws OPTION_INVALID for a name that there is not, a process that lives, or tasks without `force`
   */
  remove(name: string, act: { actor: string; reason?: string; force?: boolean }): { tasks: number; parked: number } {
    this.#requireKnown(name);
    const home = Home.lockDead(this.#driver, this.directory, name);
    if (home === undefined) throw invalidOption("name", `${shown(name)} belongs to a process that runs: stop it first`);
    let held: { tasks: number; parked: number; problem: string | undefined };
    try {
      held = this.#held(home);
    } catch (error) {
      home.release();
      throw asSpoolError(error, this.directory);
    }
    const { tasks, parked, problem } = held;
    if (act.force !== true && (problem !== undefined || tasks + parked > 0)) {
      home.release();
      const more = problem === undefined ? "" : `, and perhaps more: ${problem};`;
      throw invalidOption(
        "force",
        `is needed: ${shown(name)} holds ${tasks} tasks, ${parked} parked${more}, which nobody else has`,
      );
    }
    const line = {
      at: new Date(systemClock.nowMs()).toISOString(),
      name,
      tasks,
      parked,
      actor: act.actor,
      reason: act.reason,
    };
    appendFileSync(join(this.directory, "removed.jsonl"), `${JSON.stringify(line)}\n`, { mode: 0o600 });
    home.remove();
    return { tasks, parked };
  }

  #requireKnown(name: string): void {
    const names = homesIn(this.directory);
    if (names.includes(name)) return;
    throw invalidOption(
      "name",
      `there is no ${shown(name)} in ${this.directory}; there are: ${names.join(", ") || "none"}`,
    );
  }

  /** A dead one's is locked meanwhile, so that nobody takes it over under our eyes. */
  #looking<T>(name: string, look: (alive: boolean, file: SpoolFile | undefined, problem: string | undefined) => T): T {
    const path = join(this.directory, name, "spool.db");
    const dead = Home.lockDead(this.#driver, this.directory, name);
    let file: SpoolFile | undefined;
    try {
      const opened = this.#open(path, dead !== undefined);
      file = opened.file;
      return look(dead === undefined, file, opened.problem);
    } finally {
      file?.close();
      dead?.release();
    }
  }

  #open(path: string, dead: boolean): { file?: SpoolFile | undefined; problem?: string | undefined } {
    try {
      if (!dead) {
        const file = SpoolFile.openToLook(this.#driver, path, this.#keys);
        return { file, problem: file?.unknownKey?.message };
      }
      const { file, problem } = openDead(this.#driver, path, this.#keys);
      return { file, problem: problem ?? file?.unknownKey?.message };
    } catch (error) {
      return { problem: problemOf(error) };
    }
  }

  /** What a dead process's home holds, as far as it can be read, and why not all of it can. */
  #held(home: Home): { tasks: number; parked: number; problem: string | undefined } {
    const { file, problem } = openDead(this.#driver, home.file, this.#keys);
    const nothing = { tasks: 0, parked: 0 };
    try {
      return { ...(file?.count() ?? nothing), problem };
    } catch (error) {
      if (!isBroken(error)) throw error;
      return { ...nothing, problem: problem ?? problemOf(error) };
    } finally {
      file?.close();
    }
  }
}

function taskInfo(file: SpoolFile, { sequence, id, atMs, problem, parkedAtMs }: ListedRow, payload: boolean) {
  const message = messageOf(file, sequence, problem !== null);
  return {
    sequence,
    id,
    acceptedAtMs: atMs,
    parked: problem === null ? undefined : { problem, atMs: parkedAtMs ?? 0 },
    message: message && (payload ? message : { ...message, payload: new Uint8Array(0) }),
  };
}

function messageOf(file: SpoolFile, sequence: number, parked: boolean): TaskMessage | undefined {
  try {
    const stored = parked ? file.parkedAfter(sequence - 1) : file.taskAfter(sequence - 1);
    return stored === undefined ? undefined : decodeRecord(stored.record).message;
  } catch {
    return undefined; // Sealed, or damaged: its place and its id are known all the same.
  }
}
