import type { Episode } from "./episode.js";
import type { Row } from "./row.js";

export interface RowReport {
  readonly row: number;
  readonly name: string;
  readonly times: number;
  readonly tasks: number;
  readonly lost: number;
  readonly duplicates: Readonly<Record<string, number>>;
  readonly recoveryMs: { readonly p50: number; readonly p95: number };
  readonly violations: readonly string[];
  /** Why accepted tasks may be lost in this run. */
  readonly loses?: string;
}

/** Episodes of one row each, or of several: then its name is theirs. */
export function reportOf(row: Row | undefined, episodes: readonly Episode[]): RowReport {
  const recoveries = episodes
    .flatMap(({ injected }) => injected.map(({ recoveryMs }) => recoveryMs))
    .toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(recoveries[Math.ceil(recoveries.length * share) - 1] ?? 0);
  const duplicates: Record<string, number> = {};
  for (const { verdict } of episodes)
    for (const [cause, count] of Object.entries(verdict.duplicates))
      duplicates[cause] = (duplicates[cause] ?? 0) + count;
  return {
    row: row?.row ?? 0,
    name: row?.name ?? "several, one after the other",
    times: recoveries.length,
    tasks: episodes.reduce((sum, { verdict }) => sum + verdict.counts.accepted, 0),
    lost: episodes.reduce((sum, { verdict }) => sum + verdict.counts.lost, 0),
    duplicates,
    recoveryMs: { p50: at(0.5), p95: at(0.95) },
    violations: episodes.flatMap(({ verdict }) =>
      verdict.violations.map(({ invariant, what }) => `${invariant}: ${what}`),
    ),
    ...(row?.loses === undefined ? {} : { loses: row.loses }),
  };
}

/** A loss that the row is known for is no failure: it is told. */
export const isFailure = ({ violations, loses }: RowReport) =>
  violations.some((one) => loses === undefined || !one.startsWith("lost:"));

export function tableOf(reports: readonly RowReport[]): string {
  const head = ["row", "fault", "times", "tasks", "lost", "run twice, and why", "recovery p50 / p95 ms", ""];
  const lines = reports.map((report) => [
    `${report.row}`,
    report.name,
    `${report.times}`,
    `${report.tasks}`,
    `${report.lost}`,
    Object.entries(report.duplicates)
      .map(([cause, count]) => `${count} ${cause}`)
      .join(", ") || "0",
    `${report.recoveryMs.p50} / ${report.recoveryMs.p95}`,
    isFailure(report) ? `FAILED (${report.violations.length})` : report.lost > 0 ? `known: ${report.loses}` : "ok",
  ]);
  const widths = head.map((title, n) => Math.max(title.length, ...lines.map((line) => line[n]!.length)));
  return [head, ...lines]
    .map((line) =>
      line
        .map((cell, n) => cell.padEnd(widths[n]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
