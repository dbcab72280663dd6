import type { Broker } from "../../broker/broker.js";
import { invalidOption, shown } from "../../core/errors.js";
import { storedAlerts } from "./book.js";
import type { Labels, RuleName } from "./rule.js";
import { ruleOf } from "./rules.js";
import type { Severity } from "./severity.js";
import { valueText } from "./texts.js";

/** One alert, as one may look at it. */
export interface AlertInfo {
  readonly rule: RuleName;
  /** What the rule says in words. */
  readonly says: string;
  readonly labels: Labels;
  /** `pending`: it holds, and not for long enough yet. */
  readonly state: "pending" | "firing" | "resolved";
  /** Of one that fires. */
  readonly severity: Severity | undefined;
  /** Since when it is in this state, Unix ms; of a firing one, since when its condition holds. */
  readonly sinceMs: number;
  /** At its last change, with its unit. */
  readonly value: string;
  /** Notifications that have not reached their channel yet. */
  readonly undelivered: number;
}

/** All alerts that monitors remember: those that fire first, then by time. */
export async function listAlerts(broker: Pick<Broker, "deadLetters">): Promise<AlertInfo[]> {
  const store = broker?.deadLetters;
  if (store === undefined) throw invalidOption("listAlerts", `takes what connect() answers, got ${shown(broker)}`);
  const entries = await storedAlerts(store);
  const infos = entries.map(({ alert, notices }): AlertInfo => {
    const { rule, labels, since, firing, resolvedAtMs } = alert;
    const begun = Object.values(since).toSorted((a, b) => a - b)[0];
    return {
      rule,
      says: ruleOf(rule).says,
      labels,
      state: firing !== undefined ? "firing" : begun === undefined ? "resolved" : "pending",
      severity: firing?.severity,
      sinceMs: firing?.sinceMs ?? begun ?? resolvedAtMs ?? 0,
      value: valueText(alert.value, ruleOf(rule).unit),
      undelivered: notices.reduce((sum, { to }) => sum + to.length, 0),
    };
  });
  return infos.toSorted((a, b) => order[a.state] - order[b.state] || b.sinceMs - a.sinceMs);
}

const order = { firing: 0, pending: 1, resolved: 2 } as const;
