import { type Documents, fitsDocument, type StoredDocument } from "../../broker/documents.js";
import type { Logger } from "../../core/log.js";
import type { ResolvedMonitorConfig } from "../monitor-config.js";
import { type Alert, dedupeKey, type Firing, step, type Stepped } from "./alert.js";
import { Kin } from "./kin.js";
import { type Notice, withNotice } from "./notices.js";
import { settingsFor } from "./rule-settings.js";
import { type Look, type Rule, ruleNames } from "./rule.js";
import { ruleOf, rules } from "./rules.js";
import { isWorse } from "./severity.js";
import { notificationOf } from "./texts.js";

export interface Entry {
  readonly alert: Alert;
  readonly notices: readonly Notice[];
}

export interface Stored extends Entry {
  readonly id: string;
  readonly version: number;
}

/** One alert in a look: as it was, as it is, and what is to be told of it. */
interface Standing extends Stepped {
  readonly before: Alert;
  readonly notices: readonly Notice[];
}

/** More than this are no alerts any more, but noise. */
const maxAlerts = 1_000;

/** All alerts that are remembered, as documents: they outlive the monitor, and another one goes on with them. */
export class AlertBook {
  readonly #store: Documents;
  readonly #config: ResolvedMonitorConfig;
  readonly #log: Logger;

  constructor(store: Documents, config: ResolvedMonitorConfig, log: Logger) {
    this.#store = store;
    this.#config = config;
    this.#log = log;
  }

  async read(): Promise<Stored[]> {
    return storedAlerts(this.#store);
  }

  /**
   * One look at all rules; what has changed is written in one trip. One that another monitor has changed meanwhile is left to
   * it. Answers those that fire.
   */
  async evaluate(look: Look, only: readonly Rule[] = rules): Promise<Firing[]> {
    const stored = new Map((await this.read()).map((one) => [one.id, one]));
    const after = new Map<string, Standing>();
    const firing = new Set<string>();
    // Those that mute others come first.
    for (const rule of only.toSorted((a, b) => a.mutedBy.length - b.mutedBy.length)) {
      for (const { id, labels, value } of instancesOf(rule, look, stored.values())) {
        const before = stored.get(id)?.alert ?? { rule: rule.name, labels, since: {}, value: 0 };
        const muted = rule.mutedBy.some((other) => firing.has(`${other} ${labels["queue"]}`));
        const { alert, event } = this.#stepped(before, value, muted, look);
        if (Object.keys(alert?.since ?? {}).length > 0 || alert?.firing !== undefined)
          firing.add(`${rule.name} ${labels["queue"]}`);
        after.set(id, { before, notices: stored.get(id)?.notices ?? [], alert, event });
      }
    }
    const entries = this.#told(after, look);
    await this.#write(stored, entries, look.facts.atMs);
    return [...entries.values()].flatMap((entry) => entry?.alert.firing ?? []);
  }

  /** Changes one alert, also where another has changed it meanwhile; `change` may be called again. */
  async update(id: string, change: (entry: Stored) => Entry | undefined, nowMs: number): Promise<void> {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const [found] = (await this.#store.readDocuments("alert", [id])).flatMap(storedOf);
      if (found === undefined) return;
      const write = { id, value: change(found), ifVersion: found.version };
      const [receipt] = await this.#store.writeDocuments("alert", [write], nowMs);
      if (receipt?.status !== "conflict") return;
    }
  }

  #stepped(alert: Alert, value: number | undefined, muted: boolean, look: Look): Stepped {
    const settings = settingsFor(this.#config, alert.rule, alert.labels);
    // One that is muted waits: when the other is over, and this one is not, it is told after all.
    const held = muted ? { ...settings, forMs: Number.POSITIVE_INFINITY } : settings;
    const repeatMs = muted ? Number.POSITIVE_INFINITY : this.#config.repeatEveryMs;
    return step(alert, value, ruleOf(alert.rule), held, { nowMs: look.facts.atMs, repeatMs });
  }

  /** Who is told of one hears what else fires: so all are looked at before any is told. */
  #told(all: ReadonlyMap<string, Standing>, { facts }: Look): Map<string, Entry | undefined> {
    const alerts = [...all.values()].flatMap(({ alert }) => alert ?? []);
    const kin = [...all.values()].some(({ event }) => event !== undefined)
      ? new Kin(facts, alerts, this.#config.environment)
      : undefined;
    return new Map([...all].map(([id, standing]) => [id, this.#entryOf(standing, kin, facts.atMs)]));
  }

  #entryOf({ before, notices, alert: next, event }: Standing, kin: Kin | undefined, nowMs: number): Entry | undefined {
    if (next === undefined) return notices.length > 0 ? { alert: before, notices } : undefined;
    const isOver = next.firing === undefined && Object.keys(next.since).length === 0;
    const isOld = isOver && nowMs - (next.resolvedAtMs ?? nowMs) > this.#config.keepResolvedMs;
    if (isOld && notices.length === 0) return undefined;
    if (event === undefined || kin === undefined) return { alert: next, notices };
    const alert = next.firing && { ...next, firing: { ...next.firing, cause: kin.causeOf(next) } };
    const { severity, worst = severity } = (alert?.firing ?? before.firing)!;
    // Its end is told as the worst that it was, to all who have heard of it.
    const as = event === "resolved" ? worst : severity;
    const told = alert ?? { ...next, firing: before.firing };
    const settings = settingsFor(this.#config, told.rule, told.labels);
    const notification = notificationOf(told, event, as, settings, this.#config, nowMs, kin.of(told));
    this.#log.info({ rule: told.rule, ...told.labels, event, severity: as }, notification.title);
    const channels = this.#config.channels.filter(({ from }) => !isWorse(from, as)).map(({ name }) => name);
    return { alert: alert ?? next, notices: withNotice(notices, notification, channels, nowMs) };
  }

  async #write(before: ReadonlyMap<string, Stored>, after: ReadonlyMap<string, Entry | undefined>, nowMs: number) {
    let room = maxAlerts - before.size;
    let left = 0;
    const writes = [...after].flatMap(([id, entry]) => {
      const was = before.get(id);
      if (was === undefined) {
        if (entry === undefined) return [];
        room -= 1;
        if (room < 0) left += 1;
        return room < 0 ? [] : [{ id, value: entry, ifVersion: 0 }];
      }
      const same =
        entry !== undefined && JSON.stringify(entry) === JSON.stringify({ alert: was.alert, notices: was.notices });
      return same ? [] : [{ id, value: entry, ifVersion: was.version }];
    });
    if (left > 0)
      this.#log.warn({ alerts: maxAlerts, left }, "there are too many alerts: the newest are told by nobody");
    // Another program may have chosen a name of any length: one such alert is not to keep all others from being written.
    const kept = writes.filter(({ value }) => value === undefined || fitsDocument(value));
    if (kept.length < writes.length)
      this.#log.warn(
        { alerts: writes.length - kept.length },
        "alerts with names too long to be kept are told by nobody",
      );
    if (kept.length > 0) await this.#store.writeDocuments("alert", kept, nowMs);
  }
}

interface Instance {
  readonly id: string;
  readonly labels: Alert["labels"];
  readonly value: number | undefined;
}

/** What a rule finds, and what is remembered of it and is not found any more. */
function* instancesOf(rule: Rule, look: Look, stored: Iterable<Stored>): Iterable<Instance> {
  const findings = rule.find(look);
  const found = new Set<string>();
  for (const { labels, value } of findings ?? []) {
    const id = dedupeKey("", rule.name, labels);
    found.add(id);
    yield { id, labels, value };
  }
  const well = rule.bad === "above" ? 0 : Number.MAX_SAFE_INTEGER;
  for (const { id, alert } of stored) {
    if (alert.rule !== rule.name || found.has(id)) continue;
    yield { id, labels: alert.labels, value: findings === undefined ? undefined : well };
  }
}

export async function storedAlerts(store: Documents): Promise<Stored[]> {
  return (await store.readDocuments("alert")).flatMap(storedOf);
}

/** What another version wrote, and this one does not know, is left alone. */
function storedOf({ id, version, value }: StoredDocument): Stored[] {
  const { alert, notices } = (value ?? {}) as Partial<Entry>;
  if (typeof alert !== "object" || !ruleNames.includes(alert.rule) || !Array.isArray(notices)) return [];
  return [{ id, version, alert, notices }];
}
