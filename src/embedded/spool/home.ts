import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../core/clock.js";
import type { Driver } from "../driver.js";
import { isUnopenable } from "../sqlite-error.js";
import { fsyncDirectory } from "../../core/own-directory.js";
import { SpoolLock } from "./spool-lock.js";

/** `p-` boot, process, random; behind `.by-` who took it over. */
const homeName = /^(p-[0-9a-f]{8}-\d+-[0-9a-f]{8})(\.by-[0-9a-f]{8}-\d+-[0-9a-f]{8})?$/;
/** Not ready yet, or about to be deleted. */
const unfinished = /^new-[0-9a-f]{16}$/;
/** Nobody takes that long for either. */
const unfinishedMs = 3_600_000;
const unfinishedName = () => `new-${randomBytes(8).toString("hex")}`;
const quarantineName = "quarantine";

/** Whose home it is; for people, since processes ask the lock. */
export interface Owner {
  readonly pid: number;
  readonly host: string;
  readonly bootId: string;
  /** When the process started, in ticks since the machine did, as /proc has it; undefined elsewhere. */
  readonly startedTicks: number | undefined;
  readonly sinceMs: number;
}

/**
 * A folder in the spool's directory that one process has for itself: its file, the lock that says it is alive, and a note
 * of who it is. Whoever gets the lock of a home whose process is dead may take it over.
 */
export class Home {
  readonly directory: string;
  readonly name: string;
  readonly #lock: SpoolLock;

  private constructor(directory: string, name: string, lock: SpoolLock) {
    this.directory = directory;
    this.name = name;
    this.#lock = lock;
  }

  get path(): string {
    return join(this.directory, this.name);
  }

  get file(): string {
    return join(this.path, "spool.db");
  }

  /** A new one. It gets its name when it is locked, so that nobody takes it for a dead process's. */
  static create(driver: Driver, directory: string): Home {
    const owner = thisProcess();
    const path = join(directory, unfinishedName());
    const name = `p-${owner.bootId.slice(0, 8)}-${owner.pid}-${randomBytes(4).toString("hex")}`;
    mkdirSync(path, { mode: 0o700 });
    writeFileSync(join(path, "owner.json"), JSON.stringify(owner), { mode: 0o600 });
    writeFileSync(lockIn(path), "", { mode: 0o600 });
    const lock = SpoolLock.take(driver, lockIn(path))!;
    renameSync(path, join(directory, name));
    fsyncDirectory(directory);
    return new Home(directory, name, lock);
  }

  /** The lock of a home whose process is dead; undefined where one lives, or it is gone. */
  static lockDead(driver: Driver, directory: string, name: string): Home | undefined {
    const path = join(directory, name);
    try {
      const lock = SpoolLock.take(driver, lockIn(path));
      return lock && new Home(directory, name, lock);
    } catch (error) {
      if (isUnopenable(error) && !isThere(path)) return undefined;
      throw error;
    }
  }

  /** Give it the name that says who takes it over. Of all that try, one succeeds; for the others it is gone. */
  takenOverBy(adopter: Home): Home | undefined {
    const [, first] = homeName.exec(this.name)!;
    const name = `${first}.by-${homeName.exec(adopter.name)![1]!.slice(2)}`;
    if (!renamed(this.path, join(this.directory, name))) return undefined;
    fsyncDirectory(this.directory);
    return new Home(this.directory, name, this.#lock);
  }

  /** What was made in it lately has its name for good. */
  madeDurable(): void {
    fsyncDirectory(this.path);
  }

  /** The next one that looks may take it over. */
  release(): void {
    this.#lock.release();
  }

  remove(): void {
    // Under a name that nobody looks for: half deleted it is still nobody else's.
    const doomed = join(this.directory, unfinishedName());
    renameSync(this.path, doomed);
    rmSync(doomed, { recursive: true });
    fsyncDirectory(this.directory);
    this.#lock.release();
  }

  /** Out of everybody's way, for people to look at. Nothing there is ever deleted by us. */
  quarantine(): string {
    const quarantine = join(this.directory, quarantineName);
    mkdirSync(quarantine, { recursive: true, mode: 0o700 });
    const path = join(quarantine, `${this.name}-${systemClock.nowMs()}`);
    renameSync(this.path, path);
    fsyncDirectory(quarantine);
    fsyncDirectory(this.directory);
    this.#lock.release();
    return path;
  }
}

/** The names of all homes in a directory; what else lies there is none of our business. */
export function homesIn(directory: string): string[] {
  return readdirSync(directory).filter((name) => homeName.test(name));
}

/** Undefined where the note is missing or nobody can read it: it proves nothing, and nothing depends on it. */
export function ownerOf(directory: string, name: string): Owner | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, name, "owner.json"), "utf8")) as Owner;
  } catch {
    return undefined;
  }
}

/** What processes left that were killed while they made a home, or removed one. */
export function removeUnfinished(directory: string, nowMs: number): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (unfinished.test(name) && statSync(path).mtimeMs < nowMs - unfinishedMs) rmSync(path, { recursive: true });
  }
}

function thisProcess(): Owner {
  return {
    pid: process.pid,
    host: hostname(),
    bootId: read("/proc/sys/kernel/random/boot_id")?.trim() ?? "00000000",
    startedTicks: startedTicks(),
    sinceMs: systemClock.nowMs(),
  };
}

/** The 22nd field; the second, the program's name, stands in brackets and may hold anything. */
function startedTicks(): number | undefined {
  const stat = read("/proc/self/stat");
  return stat === undefined ? undefined : Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined; // Not Linux.
  }
}

const lockIn = (path: string) => join(path, "lock");

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function renamed(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
