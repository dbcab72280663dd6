/** What a queue must be able to do to be measured. All no-op tasks, payload `{ n }`, nothing kept after completion. */
export interface Contender {
  readonly version: string;
  /** Enqueue one by one with so many calls under way; resolves when all are acknowledged. */
  enqueue(count: number, inFlight: number): Promise<void>;
  /** Enqueue in batches of `size`, one after the other. */
  bulk(count: number, size: number): Promise<void>;
  /** Work off what is there. `settled` is told the running total each time Redis has confirmed some. */
  drain(concurrency: number, settled: (total: number) => void): Promise<Draining>;
  /** How many tasks are left in any state. */
  left(): Promise<number>;
  close(): Promise<void>;
}

export interface Draining {
  /** How often a handler has run. */
  runs(): number;
  stop(): Promise<void>;
}

/** Keep `inFlight` calls under way until `count` have been made. */
export async function inFlight(count: number, width: number, call: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await call((next += 1));
    }),
  );
}
