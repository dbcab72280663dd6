const units = [
  ["d", 86_400_000, 48 * 3_600_000],
  ["h", 3_600_000, 3_600_000],
  ["m", 60_000, 60_000],
  ["s", 1_000, 1_000],
] as const;

/** A length of time in its largest unit, cut: "3 m", "26 h", "5 d". */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const [unit, unitMs] = units.find(([, , from]) => ms >= from) ?? units.at(-1)!;
  return `${Math.floor(ms / unitMs)} ${unit}`;
}

/** A point in time as seen from now: "in 3 m", "2 h ago", "now". */
export function relative(atMs: number, nowMs: number): string {
  const awayMs = Math.abs(atMs - nowMs);
  if (awayMs < 1_000) return "now";
  return atMs > nowMs ? `in ${span(awayMs)}` : `${span(awayMs)} ago`;
}

/** The largest time that a Date can hold; what another program stored may lie beyond it. */
const lastMs = 8.64e15;

/** "2026-11-22T00:33:07.000Z"; null for no time, and for one that no calendar has. */
export function iso(ms: number | undefined): string | null {
  return ms === undefined || Number.isNaN(ms) || Math.abs(ms) > lastMs ? null : new Date(ms).toISOString();
}

/** "2026-11-22 00:33:07 UTC (2 h ago)" */
export function dateAndDistance(ms: number, nowMs: number): string {
  const text = iso(ms);
  if (text === null) return "beyond the calendar";
  return `${text.slice(0, -5).replace("T", " ")} UTC (${relative(ms, nowMs)})`;
}
