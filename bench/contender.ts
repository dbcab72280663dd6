/** What a queue must be able to do to be measured. All no-op tasks, payload `{ n }`, nothing kept after completion. */
export interface Contender {
  readonly version: string;
  /** Enqueue one by one with so many calls under way; resolves when all are acknowledged. */
  readonly enqueue: (count: number, inFlight: number) => Promise<void>;
  /** Enqueue in batches of `size`, one after the other; where there are several queues, round and round. */
  readonly bulk?: (count: number, size: number) => Promise<void>;
  /** Work off what is there. `settled` is told the running total each time Redis has confirmed some. */
  drain(concurrency: number, settled: (total: number) => void): Promise<Draining>;
  /** An idle worker that tells, of each task, when its handler started, Unix ms with fractions. */
  listen(started: (atMs: number) => void): Promise<Draining>;
  /** How many tasks are left in any state. */
  left(): Promise<number>;
  /** Seconds of CPU that producer and worker have used. */
  cpuS(): number;
  close(): Promise<void>;
}

export interface Draining {
  /** How often a handler has run. */
  runs(): number;
  stop(): Promise<void>;
}

/** Opens a contender on that many queues. */
export type Open = (url: string, queueCount: number) => Contender | Promise<Contender>;

/** Keep `inFlight` calls under way until `count` have been made. */
export async function inFlight(count: number, width: number, call: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await call((next += 1));
    }),
  );
}

export const queueNames = (count: number) => Array.from({ length: count }, (_, n) => `bench${n}`);

export const nowMs = () => performance.timeOrigin + performance.now();

export function ownCpuS(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
