import type { Tallied } from "../broker/outage.js";

interface Sample {
  readonly atMs: number;
  readonly acknowledged: number;
  readonly delivered: number;
  readonly settled: number;
}

const everyMs = 1_000;
/** More than an hour at full resolution; then every other one goes. */
const most = 4_096;
const nothing: Sample = { atMs: 0, acknowledged: 0, delivered: 0, settled: 0 };

/** How far a process had come at which time. */
export class Samples {
  #samples: Sample[] = [];
  #nextMs = 0;

  take(nowMs: number, { acknowledged, delivered, settled }: Readonly<Tallied>): void {
    if (nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + everyMs;
    this.#samples.push({ atMs: nowMs, acknowledged, delivered, settled });
    if (this.#samples.length >= most) this.#samples = this.#samples.filter((_, n) => n % 2 === 1);
  }

  /** The last one up to then: what came after it may have come after that time. Nothing, where no time is told. */
  before(atMs: number | undefined): Sample {
    return (atMs === undefined ? undefined : this.#samples.findLast((sample) => sample.atMs <= atMs)) ?? nothing;
  }
}
