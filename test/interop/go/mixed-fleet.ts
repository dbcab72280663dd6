import { join } from "node:path";
import { Client, connect, defineTask } from "../../../src/index.js";
import { Fleet, type FleetOptions, readJournal, type Run } from "../../chaos/fleet.js";
import type { RedisServer } from "../../support/redis-server.js";
import { type GoTask, Witness } from "./witness.js";

export const queues = { q0: 5, q1: 4, q2: 3, q3: 2, q4: 1 };
const names = Object.keys(queues);
const flaky = "fleet:flaky";
/** Go workers are numbered from here on. */
const firstOfGo = 1_000;

interface GoMember {
  readonly number: number;
  readonly witness: Witness;
  killedAtMs: number | undefined;
}

/** Worker processes of Go and of Holdfast on five queues, and what each ran. */
export class MixedFleet {
  readonly #server: RedisServer;
  readonly #folder: string;
  readonly #options: FleetOptions;
  readonly #ours: Fleet;
  readonly #go: GoMember[] = [];
  readonly #killedAtMs = new Map<number, number>();

  constructor(server: RedisServer, folder: string, handlerMs: number) {
    this.#server = server;
    this.#folder = folder;
    this.#options = { handlerMs, queues, concurrency: 20, leaseDuration: "5s", flaky: [flaky] };
    this.#ours = new Fleet(server.url, folder, this.#options);
  }

  async addOurs(): Promise<void> {
    await this.#ours.add();
  }

  async addGo(): Promise<void> {
    const number = firstOfGo + this.#go.length;
    const witness = await Witness.start(this.#server);
    const { handlerMs: sleepMs, concurrency = 0 } = this.#options;
    const handlers = { fleet: { sleepMs }, [flaky]: { sleepMs, fail: 1, error: "the first attempt fails" } };
    await witness.serve({ queues, concurrency, handlers, retryDelayMs: 1_000, journal: this.#journal(number) });
    this.#go.push({ number, witness, killedAtMs: undefined });
  }

  /** kill -9 one of those that live, chosen by `random` (0 ≤ x < 1), and start another in its place. */
  async replaceOne(random: () => number): Promise<void> {
    if (random() < 0.5) {
      const member = pick(this.#liveGo, random());
      member.killedAtMs = Date.now();
      this.#killedAtMs.set(member.number, Date.now());
      await member.witness.kill();
      await this.addGo();
    } else {
      const member = pick(this.#ours.working, random());
      this.#killedAtMs.set(member.number, Date.now());
      await this.#ours.kill(member);
      await this.addOurs();
    }
  }

  /** When each process that was killed was, Unix ms. */
  get killedAtMs(): ReadonlyMap<number, number> {
    return this.#killedAtMs;
  }

  /** In good order. Answers what asynq warned of. */
  async stop(): Promise<string[]> {
    await this.#ours.stop();
    await Promise.all(this.#liveGo.map(({ witness }) => witness.stop()));
    return this.#liveGo.flatMap(({ witness }) => witness.warnings);
  }

  /** After the test, also a failed one: nobody is left behind. */
  async end(): Promise<void> {
    this.#ours.end();
    await Promise.all(this.#go.map(({ witness }) => witness.kill()));
  }

  /** Of each task, in the order of time. */
  runs(): Map<string, Run[]> {
    const runs = this.#ours.runs();
    for (const { number } of this.#go) readJournal(this.#journal(number), number, runs);
    for (const [id, list] of runs)
      runs.set(
        id,
        list.toSorted((a, b) => a.startedAtMs - b.startedAtMs),
      );
    return runs;
  }

  get #liveGo(): GoMember[] {
    return this.#go.filter(({ killedAtMs }) => killedAtMs === undefined);
  }

  #journal(number: number): string {
    return join(this.#folder, `go-${number}.journal`);
  }
}

const pick = <T>(of: readonly T[], random: number): T => of[Math.floor(random * of.length)]!;
export const ofGo = ({ process }: Pick<Run, "process">) => process >= firstOfGo;

/**
 * Tasks of every kind, half of them put there by Go: plain ones, one in ten each that fails first, is delayed, is kept
 * for two seconds, or is unique and enqueued by both. Answers the ids of those that were taken, and which are flaky.
 */
export async function fill(
  server: RedisServer,
  count: number,
): Promise<{ readonly ids: ReadonlySet<string>; readonly flaky: ReadonlySet<string> }> {
  const ids = new Set<string>();
  const failing = new Set<string>();
  const go = await Witness.start(server);
  const broker = connect(server.url);
  const client = new Client(broker, { timeout: "30s" });
  const [plain, fails] = [defineTask<number>("fleet"), defineTask<number>(flaky)];
  const kinds = [
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    "flaky",
    "delayed",
    "kept",
    "unique",
  ];

  for (let at = 0; at < count; at += 1_000) {
    const numbers = Array.from({ length: Math.min(1_000, count - at) }, (_, n) => at + n);
    const one = (n: number) => ({ n, kind: kinds[Math.floor(n / 2) % kinds.length], queue: names[n % names.length]! });
    const shared = numbers.filter((n) => one(n).kind === "unique");
    const forGo = numbers.filter((n) => n % 2 === 0 && !shared.includes(n));
    const forUs = numbers.filter((n) => n % 2 === 1 && !shared.includes(n));
    const [inGo, here] = await Promise.all([
      go.enqueue(...[...forGo, ...shared].map((n) => goTask(one(n)))),
      client.enqueueAll([...forUs, ...shared].map((n) => ourTask(one(n)))),
    ]);
    const took = (id: string, n: number) => {
      ids.add(id);
      if (one(n).kind === "flaky") failing.add(id);
    };
    for (const [k, receipt] of inGo.entries()) if ("id" in receipt) took(receipt.id, [...forGo, ...shared][k]!);
    for (const [k, { status, id }] of here.entries()) if (status === "enqueued") took(id, [...forUs, ...shared][k]!);
  }
  await go.kill();
  await broker.close();
  return { ids, flaky: failing };

  interface Kind {
    readonly n: number;
    readonly kind: string | undefined;
    readonly queue: string;
  }
  function goTask({ n, kind, queue }: Kind): GoTask {
    return {
      type: kind === "flaky" ? flaky : "fleet",
      payload: Buffer.from(`${n}`),
      queue,
      ...(kind === "delayed" ? { processInMs: 1_000 + (n % 5) * 1_000 } : {}),
      ...(kind === "kept" ? { retentionMs: 2_000 } : {}),
      ...(kind === "unique" ? { uniqueMs: 3_600_000 } : {}),
    };
  }
  function ourTask({ n, kind, queue }: Kind) {
    return (kind === "flaky" ? fails : plain)(n, {
      queue,
      ...(kind === "delayed" ? { processIn: `${1 + (n % 5)}s` } : {}),
      ...(kind === "kept" ? { retention: "2s" } : {}),
      ...(kind === "unique" ? { unique: "1h" } : {}),
    });
  }
}
