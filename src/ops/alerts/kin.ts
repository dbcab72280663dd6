import type { Facts } from "../facts.js";
import { type Alert, type Cause, dedupeKey, type Firing } from "./alert.js";
import { ruleNames } from "./rule.js";
import { severities } from "./severity.js";

/** Of one alert: enough to see what belongs together, and short enough for a text. */
const mostRelated = 5;
/** Queues of one type that are looked at. */
const mostQueues = 50;
/** What began within this time of the first, and has a queue, type or group in common with it, has probably one cause. */
const togetherMs = 10 * 60_000;

export type FiringAlert = Alert & { readonly firing: Firing & { readonly cause: Cause } };
/** Some of those that fire beside one. */
export interface Related {
  readonly alerts: readonly FiringAlert[];
  /** Whether there are more. */
  readonly more: boolean;
}

/**
 * Which of the alerts that fire have probably one cause: those of one queue, type or failure group, where a group is in the
 * queues of its dead letters, and a type in those in which it has failed. It only tells: nothing is kept from anybody for
 * it. What it takes grows with the alerts, and not with their square.
 */
export class Kin {
  readonly #environment: string;
  readonly #queuesOfGroup: ReadonlyMap<string, readonly string[]>;
  readonly #queuesOfType = new Map<string, string[]>();
  /** Those of each subject that fire, the worst first. */
  readonly #bySubject = new Map<string, FiringAlert[]>();
  /** The latest cause of each subject. */
  readonly #causes = new Map<string, Cause>();
  readonly #all = new Map<string, FiringAlert>();

  constructor({ groups, types }: Facts, alerts: Iterable<Alert>, environment: string) {
    this.#environment = environment;
    this.#queuesOfGroup = new Map(groups?.map(({ fingerprint, queues }) => [fingerprint, queues]));
    for (const { type, queue, reason } of types ?? []) {
      const queues = this.#queuesOfType.get(type) ?? [];
      if (reason !== "" && queues.length < mostQueues && !queues.includes(queue)) queues.push(queue);
      this.#queuesOfType.set(type, queues);
    }
    const firing = [...alerts].flatMap((alert) =>
      alert.firing === undefined ? [] : { ...alert, firing: alert.firing },
    );
    const known = firing.toSorted(firstBegun).map((alert) => this.#withCause(alert));
    for (const alert of known.toSorted(worstFirst)) {
      this.#all.set(nameOf(alert), alert);
      for (const subject of this.#subjectsOf(alert)) {
        const others = this.#bySubject.get(subject);
        if (others === undefined) this.#bySubject.set(subject, [alert]);
        else others.push(alert);
      }
    }
  }

  /** What it shares with others; undefined where it does not fire. */
  causeOf(alert: Alert): Cause | undefined {
    return this.#all.get(nameOf(alert))?.firing.cause;
  }

  /** What else fires, the worst first. */
  of(alert: Alert): Related {
    const own = this.#all.get(nameOf(alert));
    const others = this.#subjectsOf(alert).flatMap((subject) =>
      (this.#bySubject.get(subject) ?? []).slice(0, mostRelated + 2).filter((one) => one !== own),
    );
    const alerts = [...new Set(others)].toSorted(worstFirst);
    return { alerts: alerts.slice(0, mostRelated), more: alerts.length > mostRelated };
  }

  /** One that begins takes the cause of a relative that began at about the same time, or has one of its own. */
  #withCause(alert: Alert & { readonly firing: Firing }): FiringAlert {
    const { sinceMs } = alert.firing;
    const subjects = this.#subjectsOf(alert);
    const found = subjects
      .flatMap((subject) => this.#causes.get(subject) ?? [])
      .filter((cause) => Math.abs(sinceMs - cause.sinceMs) <= togetherMs)
      .toSorted((a, b) => a.sinceMs - b.sinceMs || (a.key < b.key ? -1 : 1))[0];
    const own = { key: dedupeKey(this.#environment, `${alert.rule} ${sinceMs}`, alert.labels), sinceMs };
    const cause = alert.firing.cause ?? found ?? own;
    for (const subject of subjects)
      if (cause.sinceMs >= (this.#causes.get(subject)?.sinceMs ?? 0)) this.#causes.set(subject, cause);
    return { ...alert, firing: { ...alert.firing, cause } };
  }

  #subjectsOf({ labels: { queue, type, fingerprint } }: Alert): string[] {
    const queues =
      fingerprint === undefined ? this.#queuesOfType.get(type ?? "") : this.#queuesOfGroup.get(fingerprint);
    return [
      ...[...(queue === undefined ? [] : [queue]), ...(queues ?? [])].map((one) => `queue ${one}`),
      ...(type === undefined ? [] : [`type ${type}`]),
      ...(fingerprint === undefined ? [] : [`fingerprint ${fingerprint}`]),
    ];
  }
}

const nameOf = ({ rule, labels }: Alert) => dedupeKey("", rule, labels);

type Begun = Alert & { readonly firing: Firing };
const worstFirst = (a: Begun, b: Begun) =>
  severities.indexOf(b.firing.severity) - severities.indexOf(a.firing.severity) ||
  a.firing.sinceMs - b.firing.sinceMs ||
  ruleNames.indexOf(a.rule) - ruleNames.indexOf(b.rule);
/** Those that have a cause, then failure groups, for they know their queues and their type. */
const firstBegun = (a: Begun, b: Begun) =>
  Number(a.firing.cause === undefined) - Number(b.firing.cause === undefined) ||
  Number(a.labels["fingerprint"] === undefined) - Number(b.labels["fingerprint"] === undefined) ||
  a.firing.sinceMs - b.firing.sinceMs;
