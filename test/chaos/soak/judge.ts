import { closeSync, existsSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { acceptedAs } from "../../history/acceptance.js";
import { checkTasks } from "../../history/check.js";
import type { Event, FinalState } from "../../history/events.js";
import { Lives } from "../../history/lives.js";
import { judgePlaces, judgeRest } from "../../history/rest.js";
import type { Repeat } from "../../history/runs.js";
import type { Verdict, Violation } from "../../history/verdict.js";
import { PerFault, type FaultFigures } from "./per-fault.js";
import type { SoakFaultTimes } from "./run.js";

export interface SoakVerdict extends Pick<Verdict, "counts" | "duplicates"> {
  /** How often each invariant was broken, and the first cases. */
  readonly broken: Readonly<Record<string, number>>;
  readonly cases: readonly Violation[];
  readonly perFault: readonly FaultFigures[];
  /** The most memory that a process of each kind took, bytes. */
  readonly memory: Readonly<Record<string, number>>;
}

interface Recorded {
  readonly files: readonly string[];
  /** For the parts. */
  readonly folder: string;
  readonly final: FinalState;
  readonly faults: readonly SoakFaultTimes[];
}

/** Some tens of thousands of tasks are judged at a time: memory is that of a part, however long the history. */
const parts = 32;
const mostCases = 30;

export function judgeInParts({ files, folder, final, faults }: Recorded): SoakVerdict {
  const parting = new Parting(folder);
  for (const file of files) for (const line of linesOf(file)) parting.take(line);
  const names = parting.close();
  const perFault = new PerFault(faults);
  const counts: Record<string, number> = {};
  const duplicates: Record<string, number> = {};
  const broken: Record<string, number> = {};
  const cases: Violation[] = [];
  const find = (violations: readonly Violation[]) => {
    add(
      broken,
      violations.map(({ invariant }) => [invariant, 1]),
    );
    cases.push(...violations.slice(0, Math.max(0, mostCases - cases.length)));
  };
  for (const [part, name] of names.entries()) {
    const events = [...parting.common, ...readFileSync(name, "latin1").split("\n").slice(0, -1).map(parsed)];
    const own = {
      ...final,
      queues: final.queues.map((queue) => ({
        ...queue,
        tasks: queue.tasks.filter(({ k }) => partOf(k) === part),
        locks: {},
      })),
    };
    const lives = new Lives({ events, final: own });
    const verdict = checkTasks(lives, own);
    add(counts, Object.entries(verdict.counts));
    add(duplicates, Object.entries(verdict.duplicates));
    find(verdict.violations);
    for (const life of lives.lives.values()) perFault.call(life);
    for (const life of verdict.lost) perFault.lost(acceptedAs(life)!.at);
    for (const repeat of verdict.repeats) perFault.repeat(repeat as Repeat);
  }
  find([...judgePlaces(final), ...judgeRest(final)]);
  return {
    counts: counts as unknown as Verdict["counts"],
    duplicates,
    broken,
    cases,
    perFault: perFault.figures(),
    memory: parting.memory,
  };
}

function add(sums: Record<string, number>, more: readonly (readonly [string, number])[]): void {
  for (const [name, count] of more) sums[name] = (sums[name] ?? 0) + count;
}

const parsed = (line: string) => JSON.parse(line) as Event;

/** Lines about a call go to the file of its part; what concerns all is kept, and readings of memory are summed up. */
class Parting {
  readonly common: Event[] = [];
  readonly memory: Record<string, number> = {};
  readonly #names: readonly string[];
  readonly #files: readonly number[];
  readonly #waiting: string[];

  constructor(folder: string) {
    this.#names = Array.from({ length: parts }, (_, n) => join(folder, `part-${n}.jsonl`));
    this.#files = this.#names.map((name) => openSync(name, "w"));
    this.#waiting = this.#names.map(() => "");
  }

  take(line: string): void {
    const k = /"k":"([^"]+)"/.exec(line)?.[1];
    if (k !== undefined) return this.#put(partOf(k), line);
    const event = parsed(line);
    if (event.e === "memory") {
      const kind = event.by.startsWith("p") ? "producer" : "worker";
      this.memory[kind] = Math.max(this.memory[kind] ?? 0, event.rss);
    } else if (event.e !== "settled" && event.e !== "leaseLost") this.common.push(event);
    // Else it was leased ahead and never started: no run of a task tells of it.
  }

  close(): readonly string[] {
    for (const part of this.#names.keys()) {
      this.#flush(part);
      closeSync(this.#files[part]!);
    }
    return this.#names;
  }

  #put(part: number, line: string): void {
    this.#waiting[part] += `${line}\n`;
    if (this.#waiting[part]!.length > 1 << 18) this.#flush(part);
  }

  #flush(part: number): void {
    writeSync(this.#files[part]!, this.#waiting[part]!, null, "latin1");
    this.#waiting[part] = "";
  }
}

/** By the name of its call. */
function partOf(k: string): number {
  let hash = 0;
  for (let n = 0; n < k.length; n++) hash = (Math.imul(hash, 31) + k.charCodeAt(n)) >>> 0;
  return hash % parts;
}

/** Journals are ASCII. A last line that a kill cut off is none; who was killed at once has not begun its journal. */
function* linesOf(file: string): Generator<string> {
  if (!existsSync(file)) return;
  const fd = openSync(file, "r");
  const buffer = Buffer.alloc(1 << 22);
  let rest = "";
  try {
    for (let size; (size = readSync(fd, buffer)) > 0;) {
      const lines = (rest + buffer.toString("latin1", 0, size)).split("\n");
      rest = lines.pop()!;
      yield* lines;
    }
  } finally {
    closeSync(fd);
  }
}
