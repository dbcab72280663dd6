import { invalidOption, shown } from "./errors.js";

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A length of time with its unit: "250ms", "30s", "1.5m", "2h", "7d". */
export type Duration = `${number}${keyof typeof unitMs}`;

const pattern = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/** The largest duration: 100 years. Above it a score or a timer would no longer be exact. */
export const maxDurationMs = 36_500 * unitMs.d;

/**
 * A duration in milliseconds, a whole number.
 * @throws OPTION_INVALID for anything but a number with one of the five units, and beyond 100 years
 */
export function toMs(duration: Duration, option: string): number {
  const match = typeof duration === "string" ? pattern.exec(duration) : null;
  if (match === null) {
    throw invalidOption(option, `must be a duration such as "30s" (units: ms, s, m, h, d), got ${shown(duration)}`);
  }
  const ms = Math.round(Number(match[1]) * unitMs[match[2] as keyof typeof unitMs]);
  if (ms > maxDurationMs) throw invalidOption(option, `must be at most "36500d", got ${shown(duration)}`);
  return ms;
}

/** The last time that a Date can tell, Unix ms; the first is as far on the other side. */
export const lastTimeMs = 8.64e15;

/** Whole seconds that are not earlier: what storage keeps of a time to come (until, process at). */
export const ceilToS = (ms: number): number => Math.ceil(ms / 1_000);

/** Whole seconds that are not later: what storage compares with (now). */
export const floorToS = (ms: number): number => Math.floor(ms / 1_000);
