import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { WorkerCounters, WorkerOptions } from "../../src/index.js";

/** One run of a task, as the worker process that ran it wrote it down. */
export interface Run {
  readonly process: number;
  readonly attempt: number;
  readonly crashes: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number | undefined;
}

interface Member {
  readonly number: number;
  readonly child: ChildProcess;
  readonly journal: string;
  ready: boolean;
  killed: boolean;
}

export interface FleetOptions extends WorkerOptions {
  readonly handlerMs: number;
  /** Types beside "fleet", whose tasks fail at their first attempt. */
  readonly flaky?: readonly string[];
}

/** Worker processes, their journals, and a hand that kills them. */
export class Fleet {
  readonly #members: Member[] = [];
  readonly #url: string;
  readonly #folder: string;
  readonly #options: FleetOptions;

  constructor(url: string, folder: string, options: FleetOptions) {
    this.#url = url;
    this.#folder = folder;
    this.#options = options;
  }

  async add(): Promise<Member> {
    const number = this.#members.length;
    const journal = join(this.#folder, `worker-${number}.journal`);
    const child = fork(new URL("fleet-worker.mjs", import.meta.url).pathname, [
      this.#url,
      journal,
      JSON.stringify(this.#options),
    ]);
    const member = { number, child, journal, ready: false, killed: false };
    this.#members.push(member);
    const [message] = await Promise.race([once(child, "message"), once(child, "exit")]);
    if (message !== "ready") throw new Error(`worker ${number} did not start: exit code ${String(message)}`);
    member.ready = true;
    return member;
  }

  /** Started, and not killed. */
  get working(): Member[] {
    return this.#members.filter(({ child, ready, killed }) => ready && !killed && child.exitCode === null);
  }

  get killed(): ReadonlySet<number> {
    return new Set(this.#members.filter(({ killed }) => killed).map(({ number }) => number));
  }

  async kill(member: Member): Promise<void> {
    member.killed = true;
    const exited = once(member.child, "exit");
    member.child.kill("SIGKILL");
    await exited;
  }

  /** Stop all that live, in good order; answers their counters. */
  async stop(): Promise<WorkerCounters[]> {
    return Promise.all(this.working.map((member) => this.retire(member)));
  }

  /** Stop one, in good order, as a deployment does. */
  async retire({ number, child }: Member): Promise<WorkerCounters> {
    const told = once(child, "message");
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    const [counters] = await Promise.race([told, exited]);
    if (typeof counters !== "object" || counters === null)
      throw new Error(`worker ${number} ended without its counters: ${child.signalCode ?? `exit code ${counters}`}`);
    await exited;
    return counters as WorkerCounters;
  }

  /** After a failed test: nobody is left behind. */
  end(): void {
    for (const { child } of this.#members) if (child.exitCode === null) child.kill("SIGKILL");
  }

  runs(): Map<string, Run[]> {
    const runs = new Map<string, Run[]>();
    for (const { number, journal } of this.#members) readJournal(journal, number, runs);
    return runs;
  }
}

export function readJournal(journal: string, process: number, runs: Map<string, Run[]>): void {
  const open = new Map<string, { -readonly [K in keyof Run]: Run[K] }>();
  for (const line of readFileSync(journal, "utf8").split("\n")) {
    const [what, id, attempt, crashes, atMs] = line.split(" ");
    if (what === "start") {
      const run = {
        process,
        attempt: Number(attempt),
        crashes: Number(crashes),
        startedAtMs: Number(atMs),
        endedAtMs: undefined,
      };
      open.set(id!, run);
      runs.set(id!, [...(runs.get(id!) ?? []), run]);
    } else if (what === "end") {
      const run = open.get(id!);
      if (run !== undefined) run.endedAtMs = Number(atMs);
    }
  }
}

/** Second runs that no kill explains: all runs of a task but its last must have been in a process that was killed. */
export function unexplained(runs: ReadonlyMap<string, readonly Run[]>, killed: ReadonlySet<number>): string[] {
  return [...runs]
    .filter(([, list]) => {
      const inOrder = list.toSorted((a, b) => a.startedAtMs - b.startedAtMs);
      return inOrder.slice(0, -1).some((run) => !killed.has(run.process));
    })
    .map(
      ([id, list]) =>
        `${id}: ${list.map((run) => `worker ${run.process}${killed.has(run.process) ? " (killed)" : ""}`).join(", ")}`,
    );
}
