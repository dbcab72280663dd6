import type { AlertEvent } from "../alerts/alert.js";
import type { Labels } from "../alerts/rule.js";
import type { Severity } from "../alerts/severity.js";

/** Another alert, as it was when it was named. */
export interface RelatedAlert {
  readonly key: string;
  readonly cause: string;
  readonly rule: string;
  readonly severity: Severity;
  readonly labels: Labels;
  /** ISO 8601, UTC. */
  readonly since: string;
}

/** What is told, whichever way: as a webhook in JSON it is sent as it is. Fields are only added. */
export interface Notification {
  readonly version: 1;
  /** The same at every attempt to deliver it: who gets it twice can tell. */
  readonly id: string;
  /** The same for the same thing: what receivers merge by. */
  readonly key: string;
  readonly event: AlertEvent | "test";
  readonly environment: string;
  readonly rule: string;
  readonly severity: Severity;
  readonly labels: Labels;
  /** What: one line. */
  readonly title: string;
  /** What, since when, how bad, the first thing to do, and where to read on: some lines. */
  readonly text: string;
  /** The same for alerts that began together and have a queue, type or failure group in common: what receivers may fold by. */
  readonly cause: string;
  /** What else fires that has probably the same cause, the worst first; at most five. */
  readonly related: readonly RelatedAlert[];
  /** ISO 8601, UTC. */
  readonly since: string;
  readonly at: string;
  readonly value: number;
  readonly threshold: number | null;
  readonly firstAction: string;
  readonly runbook: string;
  readonly dashboard: string | null;
}
