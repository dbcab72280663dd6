import { acceptedAs } from "../../history/acceptance.js";
import type { Life } from "../../history/lives.js";
import type { Repeat } from "../../history/runs.js";
import type { SoakFaultTimes } from "./run.js";

export interface FaultFigures {
  readonly name: string;
  readonly times: number;
  /** Calls that were made from its beginning to that of the next fault. */
  readonly calls: number;
  /** Of those: told that they were not taken, and told nothing. */
  readonly refused: number;
  readonly unknown: number;
  readonly lost: number;
  readonly duplicates: Readonly<Record<string, number>>;
  readonly recoveryMs: { readonly p50: number; readonly p95: number };
}

interface Sums {
  calls: number;
  refused: number;
  unknown: number;
  lost: number;
  duplicates: Record<string, number>;
}

/** Sorts what happened by the fault it belongs to: the last one that had begun by then. */
export class PerFault {
  readonly #faults: readonly SoakFaultTimes[];
  readonly #sums: Sums[];
  /** Of each fault: the first call after its healing that was accepted, and the first start. */
  readonly #acceptedMs: number[];
  readonly #startedMs: number[];

  constructor(faults: readonly SoakFaultTimes[]) {
    this.#faults = faults;
    this.#sums = faults.map(() => ({ calls: 0, refused: 0, unknown: 0, lost: 0, duplicates: {} }));
    this.#acceptedMs = faults.map(() => Infinity);
    this.#startedMs = faults.map(() => Infinity);
  }

  call(life: Life): void {
    const { invoke, answers, runs } = life;
    for (const { at } of runs) this.#first(this.#startedMs, at, at);
    if (invoke === undefined) return;
    const sums = this.#at(invoke.at);
    if (sums !== undefined) sums.calls += 1;
    const answer = answers[0]?.e ?? "unknown";
    if (answer === "rejected" && sums !== undefined) sums.refused += 1;
    if (answer === "unknown" && sums !== undefined) sums.unknown += 1;
    const accepted = acceptedAs(life);
    if (accepted !== undefined) this.#first(this.#acceptedMs, invoke.at, accepted.at);
  }

  /** Storage forgets what it was given before: the first fault that takes storage away, after it was accepted. */
  lost(acceptedAt: number): void {
    const n = this.#faults.findIndex(({ name, offMs }) => name.startsWith("storage") && offMs > acceptedAt);
    const sums = this.#sums[n] ?? this.#at(acceptedAt);
    if (sums !== undefined) sums.lost += 1;
  }

  repeat({ cause, last, next }: Repeat): void {
    const ended = last.finish?.at ?? last.at;
    const n =
      cause === "storage forgot"
        ? this.#faults.findLastIndex(({ name, onMs }) => name.startsWith("storage") && onMs <= next.at)
        : this.#indexAt(ended);
    const sums = this.#sums[n];
    if (sums !== undefined) sums.duplicates[cause] = (sums.duplicates[cause] ?? 0) + 1;
  }

  figures(): FaultFigures[] {
    const recoveries = this.#recoveries();
    const names = [...new Set(this.#faults.map(({ name }) => name))].toSorted();
    return names.map((name) => {
      const own = this.#faults.flatMap((fault, n) => (fault.name === name ? [n] : []));
      const sum = (what: "calls" | "refused" | "unknown" | "lost") =>
        own.reduce((all, n) => all + this.#sums[n]![what], 0);
      const duplicates: Record<string, number> = {};
      for (const n of own)
        for (const [cause, count] of Object.entries(this.#sums[n]!.duplicates))
          duplicates[cause] = (duplicates[cause] ?? 0) + count;
      const sorted = own.map((n) => recoveries[n]!).toSorted((a, b) => a - b);
      const at = (share: number) => Math.round(sorted[Math.ceil(sorted.length * share) - 1]!);
      return {
        name,
        times: own.length,
        calls: sum("calls"),
        refused: sum("refused"),
        unknown: sum("unknown"),
        lost: sum("lost"),
        duplicates,
        recoveryMs: { p50: at(0.5), p95: at(0.95) },
      };
    });
  }

  /** Where the next fault came before all was well again, the time goes on through it. */
  #recoveries(): number[] {
    let [accepted, started] = [Infinity, Infinity];
    return this.#faults
      .map((fault, n) => ({ ...fault, n }))
      .toReversed()
      .map(({ offMs, n }) => {
        accepted = Math.min(accepted, this.#acceptedMs[n]!);
        started = Math.min(started, this.#startedMs[n]!);
        return Math.max(accepted, started) - offMs;
      })
      .toReversed();
  }

  /** `at` of what began after a fault was healed, and before the next was, is kept where it is the earliest. */
  #first(earliest: number[], beganMs: number, at: number): void {
    const n = this.#search(beganMs, ({ offMs }) => offMs);
    if (n >= 0 && at < earliest[n]!) earliest[n] = at;
  }

  #at(atMs: number): Sums | undefined {
    return this.#sums[this.#indexAt(atMs)];
  }

  #indexAt(atMs: number): number {
    return this.#search(atMs, ({ onMs }) => onMs);
  }

  /** The last fault whose time is not after that one; -1 where there is none. */
  #search(atMs: number, timeOf: (fault: SoakFaultTimes) => number): number {
    let [low, high] = [0, this.#faults.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (timeOf(this.#faults[middle]!) <= atMs) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
