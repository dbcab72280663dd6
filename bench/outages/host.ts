import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "esbuild";
import type { Left } from "./contender.js";

/** A line to an actor. */
export interface Ask {
  readonly id: number;
  readonly verb: "open" | "enqueue" | "work" | "repeat" | "left" | "counts" | "held" | "stop";
  readonly url?: string;
  /** enqueue: tasks `from` … `from + count - 1`, so many a second, or all at once. */
  readonly from?: number;
  readonly count?: number;
  readonly perSecond?: number;
  readonly bytes?: number;
  readonly inMs?: number;
  readonly withId?: boolean;
  /** Count what becomes of each, and tell nothing. */
  readonly quiet?: boolean;
  readonly concurrency?: number;
  readonly handlerMs?: number;
  readonly everyMs?: number;
}

/** How an enqueue ended. */
export interface Answer {
  readonly ok: boolean;
  readonly word: string;
  readonly tookMs: number;
}

const go = {
  folder: join(import.meta.dirname, "../go"),
  program: join(import.meta.dirname, "../../.cache/go/outages"),
};
const goVersion = () => /asynq v(\S+)/.exec(readFileSync(join(go.folder, "go.mod"), "utf8"))![1]!;
/** As deep as this folder, so that imports find the same. */
const built = join(import.meta.dirname, "../.cache");

/** Build the actors: in JavaScript, for there are many of them, and each starts the sooner. */
export async function prepare(contenders: readonly string[]): Promise<void> {
  if (contenders.includes("asynq")) execFileSync("go", ["build", "-o", go.program, "./outages"], { cwd: go.folder });
  const libraries = contenders.filter((name) => name !== "asynq").map((name) => name.split(":")[0]!);
  const entryPoints = ["actor", "contender", ...new Set(libraries.map((name) => `contenders/${name}`))];
  await build({
    entryPoints: entryPoints.map((name) => join(import.meta.dirname, `${name}.ts`)),
    outbase: import.meta.dirname,
    outdir: built,
    format: "esm",
    target: "node20",
    logLevel: "warning",
  });
}

/** A process of a contender, and all that it has told. */
export class Host {
  readonly answers = new Map<number, Answer>();
  /** By task: when its handler started, `performance.now()` here. */
  readonly starts = new Map<number, number[]>();
  readonly told: { readonly atMs: number; readonly text: string }[] = [];
  ends = 0;
  version = "";
  readonly #child: ChildProcess;
  readonly #replies = new Map<number, (value: unknown) => void>();
  #asked = 0;

  /** Started and loaded, not yet connected. */
  static async start(contender: string, folder: string): Promise<Host> {
    const actor = join(built, "actor.js");
    const child =
      contender === "asynq"
        ? spawn(go.program, [goVersion()], { stdio: ["pipe", "pipe", "ignore"] })
        : spawn(process.execPath, ["--expose-gc", actor, contender, folder], { stdio: ["pipe", "pipe", "ignore"] });
    const host = new Host(child);
    await new Promise<unknown>((resolve, reject) => {
      host.#replies.set(0, resolve);
      child.once("error", reject);
      child.once("exit", () => reject(new Error(`${contender} has ended by itself`)));
    });
    return host;
  }

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdin!.on("error", () => undefined); // It was killed, on purpose.
    createInterface({ input: child.stdout! }).on("line", (line) => this.#hear(JSON.parse(line) as unknown[]));
  }

  async open(url: string): Promise<void> {
    this.version = (await this.#ask({ verb: "open", url })) as string;
  }

  /** Resolves when all calls have been made; how they end is told in `answers`. */
  async enqueue(ask: Omit<Ask, "id" | "verb">): Promise<void> {
    await this.#ask({ verb: "enqueue", ...ask });
  }

  async work(concurrency: number, handlerMs = 0): Promise<void> {
    await this.#ask({ verb: "work", concurrency, handlerMs });
  }

  async repeat(everyMs: number): Promise<boolean> {
    return (await this.#ask({ verb: "repeat", everyMs })) as boolean;
  }

  /** Undefined when no answer comes within five seconds. */
  async left(): Promise<Left | undefined> {
    return (await Promise.race([this.#ask({ verb: "left" }), sleep(5_000)])) as Left | undefined;
  }

  async counts(): Promise<{ accepted: number; refused: number }> {
    return (await this.#ask({ verb: "counts" })) as { accepted: number; refused: number };
  }

  /** What it holds when all garbage is collected, MB. */
  async heldMb(): Promise<number> {
    return (await this.#ask({ verb: "held" })) as number;
  }

  /** How long its worker's stop took, ms; undefined when it has not ended within `boundMs`. */
  async stop(boundMs: number): Promise<number | undefined> {
    const startMs = performance.now();
    const stopped = this.#ask({ verb: "stop" }).then(() => performance.now() - startMs);
    return (await Promise.race([stopped, sleep(boundMs)])) as number | undefined;
  }

  /** Resident memory, MB. */
  memoryMb(): number {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.#child.pid}/status`, "utf8"))![1]) / 1_024;
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }

  #ask(ask: Omit<Ask, "id">): Promise<unknown> {
    const id = (this.#asked += 1);
    this.#child.stdin!.write(`${JSON.stringify({ id, ...ask })}\n`);
    return new Promise((resolve) => this.#replies.set(id, resolve));
  }

  #hear([kind, ...words]: unknown[]): void {
    const atMs = performance.now();
    const [n, ...rest] = words as [number, ...unknown[]];
    if (kind === "reply") this.#replies.get(n)?.(rest[0]);
    else if (kind === "answer")
      this.answers.set(n, { ok: rest[0] as boolean, word: String(rest[1]), tookMs: rest[2] as number });
    else if (kind === "start") this.starts.set(n, [...(this.starts.get(n) ?? []), atMs]);
    else if (kind === "end") this.ends += 1;
    else if (kind === "told") this.told.push({ atMs, text: String(words[0]) });
  }
}
