/** How bad: worth a look some day, to be dealt with today, somebody is to be woken. */
export const severities = ["info", "warning", "critical"] as const;
export type Severity = (typeof severities)[number];

export const isWorse = (a: Severity, b: Severity): boolean => severities.indexOf(a) > severities.indexOf(b);

/** One step worse, or better; the ends stay. */
export function shifted(severity: Severity, by: -1 | 0 | 1): Severity {
  return severities[Math.min(severities.length - 1, Math.max(0, severities.indexOf(severity) + by))]!;
}
