import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answersPing } from "../../test/support/answers-ping.js";
import { RedisServer } from "../../test/support/redis-server.js";
import { until } from "../../test/support/until.js";
import { type Answer, Host } from "./host.js";

/** All scenes of a wave begin at once, when the last of them has its processes. */
export class Gate {
  #missing: number;
  #open = () => {};
  readonly #opened = new Promise<void>((resolve) => (this.#open = resolve));

  constructor(count: number) {
    this.#missing = count;
  }

  async pass(): Promise<void> {
    this.arrive();
    await this.#opened;
  }

  /** For one that will not come. */
  arrive(): void {
    this.#missing -= 1;
    if (this.#missing <= 0) this.#open();
  }
}

/** One contender in one experiment: a Redis of its own, a folder, and processes. */
export class Scene implements AsyncDisposable {
  readonly contender: string;
  readonly server: RedisServer;
  readonly #folder: string;
  readonly #gate: Gate;
  readonly #hosts: Host[] = [];
  #passed = false;
  #begin = () => {};
  /** The gate has opened: from here on time counts. */
  readonly begun = new Promise<void>((resolve) => (this.#begin = resolve));

  static async set(contender: string, gate: Gate, durable: boolean): Promise<Scene> {
    const config = durable ? { appendonly: "yes", appendfsync: "always" } : { appendonly: "no" };
    const server = await RedisServer.start({ config });
    return new Scene(contender, gate, server, await mkdtemp(join(tmpdir(), "holdfast-outages-")));
  }

  private constructor(contender: string, gate: Gate, server: RedisServer, folder: string) {
    this.contender = contender;
    this.#gate = gate;
    this.server = server;
    this.#folder = folder;
  }

  /** Processes that are not connected yet, one after the other; the scene goes on when all scenes of the wave have theirs. */
  async hosts(count: number): Promise<Host[]> {
    for (let n = 0; n < count; n += 1) this.#hosts.push(await Host.start(this.contender, this.#folder));
    this.#passed = true;
    await this.#gate.pass();
    this.#begin();
    return this.#hosts;
  }

  get version(): string {
    return this.#hosts.map(({ version }) => version).find((version) => version !== "") ?? "";
  }

  /** What the library said aside, each thing once. */
  get told(): string[] {
    return [...new Set(this.#hosts.flatMap(({ told }) => told.map(({ text }) => text)))].slice(0, 20);
  }

  /** Redis is back on its data, and takes commands. */
  async redisIsBack(): Promise<void> {
    await this.server.start("listening");
    await until("Redis takes commands", () => answersPing(this.server.port), 30_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#passed) this.#gate.arrive();
    await Promise.all(this.#hosts.map((host) => host.kill()));
    await this.server.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Whether it comes true in that time. */
export function comesTrue(condition: () => boolean | Promise<boolean>, boundMs: number): Promise<boolean> {
  return until("it comes true", condition, boundMs).then(
    () => true,
    () => false,
  );
}

/** How task `n` was answered; undefined when it was not within `boundMs`. */
export async function answerOf(host: Host, n: number, boundMs: number): Promise<Answer | undefined> {
  await comesTrue(() => host.answers.has(n), boundMs);
  return host.answers.get(n);
}

/** When the first handler started after `fromMs`, in ms after it; undefined when none did within `boundMs`. */
export async function firstStart(host: Host, fromMs: number, boundMs: number): Promise<number | undefined> {
  const first = () => [...host.starts.values()].flat().filter((atMs) => atMs >= fromMs);
  await comesTrue(() => first().length > 0, boundMs);
  return first().length === 0 ? undefined : Math.min(...first()) - fromMs;
}

/** What became of tasks 1 … `count` of a producer, seen by those who ran them. */
export interface Reckoning {
  readonly count: number;
  readonly accepted: number;
  readonly refused: number;
  readonly unanswered: number;
  /** Accepted, and not run. */
  readonly lost: number;
  readonly runTwice: number;
  readonly slowestMs: number;
}

export function reckon(count: number, producer: Host, workers: readonly Host[]): Reckoning {
  const numbers = Array.from({ length: count }, (_, n) => n + 1);
  const runs = (n: number) => workers.reduce((sum, { starts }) => sum + (starts.get(n)?.length ?? 0), 0);
  const accepted = numbers.filter((n) => producer.answers.get(n)?.ok === true);
  const refused = numbers.filter((n) => producer.answers.get(n)?.ok === false);
  return {
    count,
    accepted: accepted.length,
    refused: refused.length,
    unanswered: count - accepted.length - refused.length,
    lost: accepted.filter((n) => runs(n) === 0).length,
    runTwice: numbers.filter((n) => runs(n) > 1).length,
    slowestMs: Math.max(0, ...[...producer.answers.values()].map(({ tookMs }) => tookMs)),
  };
}
