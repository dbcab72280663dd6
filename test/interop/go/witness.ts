import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { TaskState } from "../../../src/core/state.js";
import { until } from "../../support/until.js";
import { goProgram } from "./programs.js";

/** A task with asynq's options, times in ms; a payload is bytes or null, which are not the same to asynq. */
export interface GoTask {
  readonly type: string;
  readonly payload?: Uint8Array | null;
  readonly headers?: Record<string, string>;
  readonly id?: string;
  readonly queue?: string;
  readonly maxRetry?: number;
  readonly timeoutMs?: number;
  readonly deadlineMs?: number;
  readonly uniqueMs?: number;
  readonly retentionMs?: number;
  readonly processAtMs?: number;
  readonly processInMs?: number;
  readonly group?: string;
}

/** What a Go handler does, in this order. */
export interface Script {
  readonly result?: Uint8Array;
  readonly sleepMs?: number;
  /** Wait for the end of the context, and fail with why it ended. */
  readonly block?: boolean;
  /** Fail while fewer failures than this are counted. */
  readonly fail?: number;
  readonly error?: string;
  readonly skip?: boolean;
  readonly revoke?: boolean;
}

export interface GoServer {
  readonly concurrency?: number;
  readonly queues?: Record<string, number>;
  /** By type; "*" stands for all others. */
  readonly handlers?: Record<string, Script>;
  readonly retryDelayMs?: number;
  readonly taskCheckMs?: number;
  readonly forwardMs?: number;
  readonly janitorMs?: number;
  readonly shutdownMs?: number;
  readonly journal?: string;
}

/** A run of a Go handler, as it saw the task. */
export interface GoRun {
  readonly event: "start" | "end";
  readonly id: string;
  readonly type: string;
  readonly payload: string | null;
  readonly headers: Record<string, string> | null;
  readonly queue: string;
  readonly retried: number;
  readonly maxRetry: number;
  readonly deadlineMs: number;
  readonly error?: string;
}

/** asynq's TaskInfo: times in Unix ms, 0 for none; bytes in base64. */
export interface GoTaskInfo {
  readonly id: string;
  readonly queue: string;
  readonly type: string;
  readonly payload: string | null;
  readonly headers: Record<string, string> | null;
  readonly state: TaskState;
  readonly maxRetry: number;
  readonly retried: number;
  readonly lastErr: string;
  readonly lastFailedAtMs: number;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly group: string;
  readonly nextProcessAtMs: number;
  readonly isOrphaned: boolean;
  readonly retentionMs: number;
  readonly completedAtMs: number;
  readonly result: string | null;
}

export type GoReceipt = { readonly id: string } | { readonly error: string };

interface Selected {
  readonly queue?: string;
  readonly id?: string;
  readonly state?: TaskState;
  readonly group?: string;
  readonly page?: number;
  readonly size?: number;
  readonly days?: number;
  readonly force?: boolean;
  readonly payload?: Uint8Array;
}

/** What it tells of itself, the list of each of these states, and tasks in it. */
export interface GoReading {
  readonly queue: string;
  readonly group: string;
  readonly info: boolean;
  readonly of: readonly { readonly state: TaskState; readonly ids: readonly string[] }[];
}

/** A process of Go's asynq on a Redis server: its client, its inspector and, between `serve` and `stop`, its server. */
export class Witness {
  /** Each start and end of a handler, in order. */
  readonly events: GoRun[] = [];
  /** What asynq warned of, line by line. */
  readonly warnings: string[] = [];
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #asked = 0;

  /** On a server, or on the nodes of a Cluster. */
  static async start(...servers: readonly { readonly port: number }[]): Promise<Witness> {
    return new Witness(
      await goProgram("witness"),
      servers.map(({ port }) => `127.0.0.1:${port}`),
    );
  }

  private constructor(program: string, addresses: readonly string[]) {
    this.#child = spawn(program, addresses);
    createInterface(this.#child.stdout).on("line", (line) => this.#hear(JSON.parse(line)));
    createInterface(this.#child.stderr).on("line", (line) => this.warnings.push(line));
    this.#child.once("exit", () => {
      const error = new Error(`the Go program ended: ${this.warnings.join("\n")}`);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
    // It may be gone already.
    this.#child.stdin.on("error", () => {});
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async enqueue(...tasks: GoTask[]): Promise<GoReceipt[]> {
    return this.#ask("enqueue", { tasks: tasks.map(inJson) });
  }

  /** All at the same time, each by a client of its own. */
  async race(...tasks: GoTask[]): Promise<GoReceipt[]> {
    return this.#ask("enqueue", { tasks: tasks.map(inJson), together: true });
  }

  /** Start a server; its polls are short unless told otherwise, so that tests need not wait for asynq's seconds. */
  async serve(options: GoServer = {}): Promise<void> {
    const { handlers = {}, ...others } = options;
    const scripts = Object.entries(handlers).map(([type, script]) => [type, inJson(script)]);
    await this.#ask("serve", {
      concurrency: 10,
      taskCheckMs: 20,
      forwardMs: 200,
      janitorMs: 500,
      ...others,
      handlers: Object.fromEntries(scripts),
    });
  }

  async stop(): Promise<void> {
    await this.#ask("stop", {});
  }

  /** A verb of asynq's Inspector. */
  async inspect<T = void>(verb: string, selected: Selected = {}): Promise<T> {
    return this.#ask("inspect", { verb, ...inJson(selected) });
  }

  /** Much of a queue at once: what cannot be read, and how many tasks each list has. */
  async read(what: GoReading): Promise<{ wrong: string[]; listed: Partial<Record<TaskState, number>> }> {
    return this.#ask("read", what);
  }

  async find(queue: string, id: string): Promise<GoTaskInfo> {
    return this.inspect("task", { queue, id });
  }

  /** The handler's runs of a task that have ended. */
  async ended(id: string, runs = 1): Promise<GoRun[]> {
    const of = () => this.events.filter((one) => one.id === id && one.event === "end");
    await until(`Go has run ${id} ${runs} times`, () => of().length >= runs, 20_000);
    return of();
  }

  async started(id: string): Promise<GoRun> {
    return until(`Go runs ${id}`, () => this.events.find((one) => one.id === id && one.event === "start"), 20_000);
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }

  #ask<T>(verb: string, arguments_: object): Promise<T> {
    const n = ++this.#asked;
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(n, { resolve, reject }));
    this.#child.stdin.write(`${JSON.stringify({ n, do: verb, with: arguments_ })}\n`);
    return answer as Promise<T>;
  }

  #hear(line: GoRun | { n: number; value?: unknown; error?: string }): void {
    if ("event" in line) {
      this.events.push(line);
      return;
    }
    const waiting = this.#waiting.get(line.n)!;
    this.#waiting.delete(line.n);
    if (line.error === undefined) waiting.resolve(line.value);
    else waiting.reject(new Error(line.error));
  }
}

/** Bytes go over as base64, as Go's encoding/json has them. */
function inJson(one: object): object {
  const entries = Object.entries(one).map(([name, value]) => [
    name,
    value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value,
  ]);
  return Object.fromEntries(entries);
}
