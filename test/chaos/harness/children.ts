import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { WorkerOptions } from "../../../src/index.js";
import { until } from "../../support/until.js";
import type { Journal } from "./journal.js";

interface ChildOptions {
  readonly url: string;
  readonly worker: WorkerOptions;
  /** What runs the scripts. Default: this Node. */
  readonly node?: string | undefined;
  /** Of the producers. */
  readonly spool: object | undefined;
  /** What else their scripts are told. */
  readonly producers?: object;
  readonly workers?: object;
  /** What producers say of themselves, by their names. */
  readonly heard?: (name: string, message: unknown) => void;
}

interface Spawned {
  readonly env?: Readonly<Record<string, string>>;
  readonly heapMb?: number;
  readonly ordered?: boolean;
}

export interface Child {
  readonly name: string;
  readonly kind: "producer" | "worker";
  readonly process: ChildProcess;
  readonly spawned: Spawned;
  /** It is to go, and its end is no accident. */
  leaving: boolean;
}

const maxRetry = 3;

/** The producers and workers of an episode: real processes, replaced when they die. */
export class Children {
  readonly journals: string[] = [];
  readonly #children: Child[] = [];
  readonly #options: ChildOptions;
  readonly #folder: string;
  readonly #journal: Journal;

  constructor(options: ChildOptions, folder: string, journal: Journal) {
    this.#options = options;
    this.#folder = folder;
    this.#journal = journal;
  }

  get producers(): Child[] {
    return this.#alive("producer");
  }

  get workers(): Child[] {
    return this.#alive("worker");
  }

  async add(kind: Child["kind"], spawned: Spawned = {}): Promise<Child> {
    const name = `${kind === "producer" ? "p" : "w"}${this.#children.length + 1}`;
    const journal = join(this.#folder, `${name}.jsonl`);
    const { url, worker, spool, heard, node = process.execPath, ...more } = this.#options;
    const queues = { default: 3, ...(spawned.ordered === true ? { ordered: { weight: 1, concurrency: 1 } } : {}) };
    const options = {
      name,
      journal,
      url,
      ...(kind === "producer" && spool !== undefined ? { connect: { spool }, client: { accept: "spool" } } : {}),
      perSecond: 60,
      timeoutMs: 3_000,
      most: 500,
      maxRetry,
      worker: { ...worker, queues },
      hogs: spawned.heapMb !== undefined,
      ...(kind === "producer" ? more.producers : more.workers),
    };
    const execArgv = spawned.heapMb === undefined ? [] : [`--max-old-space-size=${spawned.heapMb}`];
    // What a dying process has to say of its heap is of no interest.
    const stdio = ["ignore", "ignore", spawned.heapMb === undefined ? "inherit" : "ignore", "ipc"] as const;
    const child = fork(new URL(`${kind}.mjs`, import.meta.url).pathname, [JSON.stringify(options)], {
      execPath: node,
      execArgv,
      stdio: [...stdio],
      env: { ...process.env, ...spawned.env },
    });
    const member: Child = { name, kind, process: child, spawned, leaving: false };
    this.#children.push(member);
    this.journals.push(journal);
    if (heard !== undefined) child.on("message", (message) => heard(name, message));
    child.once("exit", (code, signal) => {
      const ended = code === 0 && signal === null && member.leaving;
      this.#journal.say({ e: "process", name, what: ended ? "ended" : "killed" });
    });
    const [message] = (await Promise.race([once(child, "message"), once(child, "exit")])) as unknown[];
    if (message !== "ready" && member.process.exitCode !== null && !member.leaving)
      throw new Error(`${name} did not start: exit code ${String(message)}`);
    this.#journal.say({ e: "process", name, what: "started" });
    return member;
  }

  /** kill -9, or whatever else ends it; another one takes its place. */
  async replace(child: Child, signal: NodeJS.Signals | "itself" = "SIGKILL"): Promise<void> {
    const gone = this.#gone(child);
    if (signal !== "itself") child.process.kill(signal);
    await gone;
    await this.add(child.kind, child.spawned.heapMb === undefined ? child.spawned : {});
  }

  /** kill -9 of all of them before anything else happens; then others take their places. */
  async replaceAll(all: readonly Child[], between: () => void): Promise<void> {
    const gone = all.map((child) => this.#gone(child));
    for (const child of all) child.process.kill("SIGKILL");
    await Promise.all(gone);
    between();
    await Promise.all(all.map(({ kind, spawned }) => this.add(kind, spawned)));
  }

  /** kill -9; another one is on its way. */
  kill(child: Child): void {
    child.process.kill("SIGKILL");
    void this.add(child.kind, child.spawned);
  }

  freeze(child: Child): void {
    this.#journal.say({ e: "process", name: child.name, what: "frozen" });
    child.process.kill("SIGSTOP");
  }

  thaw(child: Child): void {
    child.process.kill("SIGCONT");
    this.#journal.say({ e: "process", name: child.name, what: "thawed" });
  }

  /** In good order; after `withinMs` by kill -9. */
  async stop(child: Child, withinMs = 100_000): Promise<void> {
    child.leaving = true;
    this.#journal.say({ e: "process", name: child.name, what: "stopping" });
    if (child.kind === "producer") child.process.send({ do: "stop" });
    else child.process.kill("SIGTERM");
    const late = setTimeout(() => child.process.kill("SIGKILL"), withinMs);
    await this.#gone(child, withinMs + 20_000);
    clearTimeout(late);
  }

  /** After a failure: nobody is left behind. */
  async end(): Promise<void> {
    for (const child of this.#children.filter((one) => !isGone(one))) {
      child.process.kill("SIGCONT");
      child.process.kill("SIGKILL");
      await this.#gone(child);
    }
  }

  #alive(kind: Child["kind"]): Child[] {
    return this.#children.filter((one) => one.kind === kind && !one.leaving && !isGone(one));
  }

  #gone(child: Child, withinMs = 120_000): Promise<boolean> {
    return until(`${child.name} has ended`, () => isGone(child), withinMs);
  }
}

const isGone = ({ process: child }: Child) => child.exitCode !== null || child.signalCode !== null;
