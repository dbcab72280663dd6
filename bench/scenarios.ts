import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { type Contender, nowMs } from "./contender.js";

/** What the server has used and done so far. */
export interface ServerUse {
  readonly cpuS: number;
  readonly commands: number;
}

export interface Bench {
  readonly contender: Contender;
  readonly url: string;
  /** The contender's name, to start it elsewhere. */
  readonly name: string;
  readonly server: () => Promise<ServerUse>;
}

/** Figures by the names of the scenario's columns. */
export type Figures = Readonly<Record<string, number>>;

export interface Scenario {
  readonly name: string;
  readonly says: string;
  readonly queueCount: number;
  /** How each figure is shown; the first is the one to compare. */
  readonly columns: Readonly<Record<string, (figure: number) => string>>;
  readonly better: "higher" | "lower";
  /** Undefined where the contender has no such verb. */
  run(bench: Bench): Promise<Figures | undefined>;
}

/** Programs that run for days are to be compared: by then the runtime has compiled what is hot. */
const warmUp = 20_000;

const rates = {
  perSecond: (figure: number) => `${Math.round(figure).toLocaleString("en")}/s`,
  serverCpuUs: (figure: number) => `${figure.toFixed(0)} µs`,
};

export const scenarios: readonly Scenario[] = [
  draining("drain-10", 10, 60_000),
  draining("drain-100", 100, 60_000),
  draining("queues-100", 100, 20_000, 100),
  producing(
    "enqueue",
    "enqueue one by one, 100 in flight",
    60_000,
    ({ enqueue }) =>
      (count) =>
        enqueue(count, 100),
  ),
  producing(
    "bulk",
    "enqueue in batches of 1,000",
    100_000,
    ({ bulk }) => bulk && ((count: number) => bulk(count, 1_000)),
  ),
  {
    name: "processes-4",
    says: "4 worker processes of concurrency 10, while 20,000 are enqueued",
    queueCount: 1,
    columns: rates,
    better: "higher",
    run: fourProcesses,
  },
  {
    name: "pick-up",
    says: "from enqueue to handler, worker idle",
    queueCount: 1,
    columns: { p50: ms, p95: ms },
    better: "lower",
    run: pickUp,
  },
  {
    name: "idle",
    says: "an idle worker, commands a second",
    queueCount: 1,
    columns: { commands: (figure) => figure.toFixed(1), server: percent, worker: percent },
    better: "lower",
    run: idle,
  },
];

function ms(figure: number): string {
  return `${figure.toFixed(figure < 10 ? 1 : 0)} ms`;
}

function percent(figure: number): string {
  return `${figure.toFixed(2)} % CPU`;
}

/** From the moment the warm-up is settled to the moment the last task is settled. */
function draining(name: string, concurrency: number, count: number, queueCount = 1): Scenario {
  const where = queueCount === 1 ? "" : ` of ${queueCount} queues`;
  return {
    name,
    says: `drain${where}, concurrency ${concurrency}, measured to settled`,
    queueCount,
    columns: rates,
    better: "higher",
    async run({ contender, server }) {
      const total = warmUp + count;
      await fill(contender, total);
      let from = 0;
      let fromTotal = 0;
      let before: Promise<ServerUse> | undefined;
      let done = (_at: number) => {};
      const finished = new Promise<number>((resolve) => (done = resolve));
      const worker = await contender.drain(concurrency, (settled) => {
        if (from === 0 && settled >= warmUp) {
          from = performance.now();
          fromTotal = settled;
          before = server();
        }
        if (settled >= total) done(performance.now());
      });
      const to = await finished;
      const cpuS = (await server()).cpuS - (await before!).cpuS;
      await worker.stop();
      const left = await contender.left();
      if (worker.runs() !== total || left !== 0)
        throw new Error(`${worker.runs()} runs of ${total} tasks, ${left} left`);
      return perTask(total - fromTotal, to - from, cpuS);
    },
  };
}

function producing(
  name: string,
  says: string,
  count: number,
  verbOf: (contender: Contender) => ((count: number) => Promise<void>) | undefined,
): Scenario {
  return {
    name,
    says,
    queueCount: 1,
    columns: rates,
    better: "higher",
    async run({ contender, server }) {
      const produce = verbOf(contender);
      if (produce === undefined) return undefined;
      await produce(warmUp);
      const before = await server();
      const from = performance.now();
      await produce(count);
      const elapsedMs = performance.now() - from;
      const { cpuS } = await server();
      const left = await contender.left();
      if (left !== warmUp + count) throw new Error(`${left} tasks there, ${warmUp + count} enqueued`);
      return perTask(count, elapsedMs, cpuS - before.cpuS);
    },
  };
}

/** From the first task enqueued to the last one gone, with everything that starting processes costs left out. */
async function fourProcesses({ contender, url, name, server }: Bench): Promise<Figures> {
  const count = 20_000;
  const script = new URL("worker.ts", import.meta.url).pathname;
  const workers = Array.from({ length: 4 }, () => fork(script, [name, url], { execArgv: ["--import", "tsx"] }));
  try {
    await Promise.all(workers.map((worker) => once(worker, "message")));
    const before = await server();
    const from = performance.now();
    await fill(contender, count);
    while ((await contender.left()) > 0) await sleep(5);
    const elapsedMs = performance.now() - from;
    return perTask(count, elapsedMs, (await server()).cpuS - before.cpuS);
  } finally {
    for (const worker of workers) worker.kill("SIGKILL");
  }
}

async function pickUp({ contender }: Bench): Promise<Figures> {
  let started = (_atMs: number) => {};
  const worker = await contender.listen((atMs) => started(atMs));
  await fill(contender, warmUp);
  while ((await contender.left()) > 0) await sleep(50);
  await sleep(1_500);
  const samples: number[] = [];
  for (let n = 0; n < 60; n += 1) {
    await sleep(20 + Math.random() * 100);
    const startedAt = new Promise<number>((resolve) => (started = resolve));
    const fromMs = nowMs();
    void contender.enqueue(1, 1);
    samples.push((await startedAt) - fromMs);
  }
  await worker.stop();
  samples.sort((a, b) => a - b);
  return { p50: samples[30]!, p95: samples[57]! };
}

async function idle({ contender, server }: Bench): Promise<Figures> {
  const worker = await contender.listen(() => {});
  await sleep(3_000);
  const [before, fromCpuS, from] = [await server(), contender.cpuS(), performance.now()];
  await sleep(10_000);
  const seconds = (performance.now() - from) / 1_000;
  const used = contender.cpuS() - fromCpuS;
  const after = await server();
  await worker.stop();
  return {
    // Ours to look is one of them.
    commands: (after.commands - before.commands - 1) / seconds,
    server: ((after.cpuS - before.cpuS) / seconds) * 100,
    worker: (used / seconds) * 100,
  };
}

const fill = ({ bulk, enqueue }: Contender, count: number) => bulk?.(count, 1_000) ?? enqueue(count, 100);

const perTask = (count: number, elapsedMs: number, cpuS: number): Figures => ({
  perSecond: (count / elapsedMs) * 1_000,
  serverCpuUs: (cpuS / count) * 1e6,
});
