import type { Contender } from "./contender.js";

export interface Measured {
  readonly version: string;
  readonly perSecond: number;
  readonly serverCpuUs: number;
}

export interface Scenario {
  readonly name: string;
  readonly says: string;
  run(
    contender: Contender,
    serverCpuS: () => Promise<number>,
  ): Promise<{ count: number; seconds: number; cpuS: number }>;
}

const warmUp = 2_000;

export const scenarios: readonly Scenario[] = [
  draining("drain-10", 10, 20_000),
  draining("drain-100", 100, 30_000),
  producing("enqueue", "enqueue one by one, 100 in flight", 20_000, (contender, count) =>
    contender.enqueue(count, 100),
  ),
  producing("bulk", "enqueue in batches of 1,000", 50_000, (contender, count) => contender.bulk(count, 1_000)),
];

/** From the moment the warm-up is settled to the moment the last task is settled. */
function draining(name: string, concurrency: number, count: number): Scenario {
  return {
    name,
    says: `drain, concurrency ${concurrency}, measured to settled`,
    async run(contender, serverCpuS) {
      await contender.bulk(warmUp + count, 1_000);
      let from = 0;
      let fromTotal = 0;
      let fromCpuS: Promise<number> | undefined;
      const total = warmUp + count;
      let done = (_at: number) => {};
      const finished = new Promise<number>((resolve) => (done = resolve));
      const worker = await contender.drain(concurrency, (settled) => {
        if (from === 0 && settled >= warmUp) {
          from = performance.now();
          fromTotal = settled;
          fromCpuS = serverCpuS();
        }
        if (settled >= total) done(performance.now());
      });
      const to = await finished;
      const cpuS = (await serverCpuS()) - (await fromCpuS!);
      const runs = worker.runs();
      await worker.stop();
      const left = await contender.left();
      if (runs !== total || left !== 0) throw new Error(`${runs} runs of ${total} tasks, ${left} left`);
      return { count: total - fromTotal, seconds: (to - from) / 1_000, cpuS };
    },
  };
}

function producing(
  name: string,
  says: string,
  count: number,
  produce: (contender: Contender, count: number) => Promise<void>,
): Scenario {
  return {
    name,
    says,
    async run(contender, serverCpuS) {
      await produce(contender, warmUp);
      const fromCpuS = await serverCpuS();
      const from = performance.now();
      await produce(contender, count);
      const seconds = (performance.now() - from) / 1_000;
      const cpuS = (await serverCpuS()) - fromCpuS;
      const left = await contender.left();
      if (left !== warmUp + count) throw new Error(`${left} tasks there, ${warmUp + count} enqueued`);
      return { count, seconds, cpuS };
    },
  };
}
