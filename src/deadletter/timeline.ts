/** "2026-11-22 10:04:05Z" */
export const time = (atMs: number): string =>
  new Date(atMs)
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, "Z");

const minute = 60_000;
/** Steps that read well, the smallest first. */
const steps = [1, 5, 15, 60, 360, 1_440, 10_080, 43_200].map((minutes) => minutes * minute);
const mostRows = 24;
const widest = 40;

/** When things happened, as a picture of at most 24 rows; memory for the minutes in which something did, up to a bound. */
export class Timeline {
  readonly #counts = new Map<number, number>();
  #stepMs = minute;
  firstMs = Number.POSITIVE_INFINITY;
  lastMs = Number.NEGATIVE_INFINITY;

  add(atMs: number): void {
    this.firstMs = Math.min(this.firstMs, atMs);
    this.lastMs = Math.max(this.lastMs, atMs);
    this.#count(atMs, 1);
    while (this.#counts.size > 10_000) this.#coarsen(this.#stepMs * 10);
  }

  lines(): string[] {
    const span = this.lastMs - this.firstMs;
    const stepMs = steps.find((step) => step >= this.#stepMs && span / step < mostRows) ?? Math.ceil(span / mostRows);
    this.#coarsen(Math.max(stepMs, this.#stepMs));
    const from = this.#bucket(this.firstMs);
    const rows = Math.min(mostRows + 1, (this.#bucket(this.lastMs) - from) / this.#stepMs + 1);
    const counts = Array.from({ length: rows }, (_, n) => this.#counts.get(from + n * this.#stepMs) ?? 0);
    const most = Math.max(...counts);
    const width = String(most).length;
    return counts.map((count, n) => {
      const bar = "#".repeat(Math.ceil((count / most) * widest));
      return `${time(from + n * this.#stepMs)}  ${String(count).padStart(width)}  ${bar}`.trimEnd();
    });
  }

  #bucket(atMs: number): number {
    return Math.floor(atMs / this.#stepMs) * this.#stepMs;
  }

  #count(atMs: number, count: number): void {
    const bucket = this.#bucket(atMs);
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + count);
  }

  #coarsen(stepMs: number): void {
    const before = [...this.#counts];
    this.#counts.clear();
    this.#stepMs = stepMs;
    for (const [atMs, count] of before) this.#count(atMs, count);
  }
}
