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
  readonly spool: boolean;
  /** Why accepted tasks may be lost in this run, and whether they always are. */
  readonly loses?: string;
  readonly alwaysLoses: boolean;
}

/** A row that is not in the figures, and why. */
export interface NotRun {
  readonly row: number;
  readonly name: string;
  readonly reason: string;
}

export function reportOf(row: Row, spool: boolean, episodes: readonly Episode[]): RowReport {
  const recoveries = episodes
    .flatMap(({ injected }) => injected.map(({ recoveryMs }) => recoveryMs))
    .toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(recoveries[Math.ceil(recoveries.length * share) - 1] ?? 0);
  const duplicates: Record<string, number> = {};
  for (const { verdict } of episodes)
    for (const [cause, count] of Object.entries(verdict.duplicates))
      duplicates[cause] = (duplicates[cause] ?? 0) + count;
  return {
    row: row.row,
    name: row.name,
    spool,
    times: recoveries.length,
    tasks: episodes.reduce((sum, { verdict }) => sum + verdict.counts.accepted, 0),
    lost: episodes.reduce((sum, { verdict }) => sum + verdict.counts.lost, 0),
    duplicates,
    recoveryMs: { p50: at(0.5), p95: at(0.95) },
    violations: episodes.flatMap(({ verdict }) =>
      verdict.violations.map(({ invariant, what }) => `${invariant}: ${what}`),
    ),
    ...(row.loses === undefined || spool ? {} : { loses: row.loses }),
    alwaysLoses: row.alwaysLoses === true && !spool,
  };
}

/** A loss that the row is known for is told, and is no failure; where it always loses, none would be one. */
export const isFailure = ({ violations, loses, alwaysLoses, lost }: RowReport) =>
  violations.some((one) => loses === undefined || !one.startsWith("lost:")) || (alwaysLoses && lost === 0);

export function judgement(report: RowReport): string {
  if (isFailure(report)) return `FAILED (${report.violations.length})`;
  return report.lost > 0 ? `known: ${report.loses}` : "ok";
}

/** Variants have numbers above 100: 110 stands by 10. */
const byRow = (a: { readonly row: number }, b: { readonly row: number }) => (a.row % 100) - (b.row % 100);

export function tableOf(reports: readonly RowReport[], notRun: readonly NotRun[]): string {
  const head = ["row", "fault", "times", "tasks", "lost", "run twice, and why", "recovery p50 / p95 ms", ""];
  const run = reports.map((report) => ({ row: report.row, cells: cellsOf(report) }));
  const left = notRun.map(({ row, name, reason }) => ({
    row,
    cells: [`${row}`, name, "0", "-", "-", "-", "-", `NOT RUN: ${reason}`],
  }));
  const lines = [...run, ...left].toSorted(byRow).map(({ cells }) => cells);
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

const cellsOf = (report: RowReport) => [
  `${report.row}`,
  `${report.name}${report.spool ? ", with a spool" : ""}`,
  `${report.times}`,
  `${report.tasks}`,
  `${report.lost}`,
  Object.entries(report.duplicates)
    .map(([cause, count]) => `${count} ${cause}`)
    .join(", ") || "0",
  `${report.recoveryMs.p50} / ${report.recoveryMs.p95}`,
  judgement(report),
];
