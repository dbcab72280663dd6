import { lostCause } from "../../broker/eviction.js";
import type { RuleName, RuleSettings } from "./rule.js";

/** Which queues or types: one alone, or all but some. */
export interface Scope {
  readonly label: "queue" | "type";
  readonly only?: string;
  readonly except?: readonly string[];
}

/** A rule as Prometheus's expression, over the metrics of `holdfast monitor`. */
export function expressionOf(rule: RuleName, scope: Scope, threshold: number, settings: RuleSettings): string {
  const expression = plainExpression(rule, scope, threshold, settings);
  // Many small queues summed up are no large one.
  return ofOneQueue.has(rule) ? `(${expression}) unless on (queue) holdfast_queues_folded > 0` : expression;
}

/** The others ask for the worst of them, or whether there is any. */
const ofOneQueue: ReadonlySet<RuleName> = new Set(["DlqSizeHigh", "DlqGrowing"]);

function plainExpression(rule: RuleName, scope: Scope, threshold: number, settings: RuleSettings): string {
  const select = (metric: string, ...matchers: string[]) => {
    const all = [...matchers, ...scopeMatchers(scope)];
    return all.length === 0 ? metric : `${metric}{${all.join(",")}}`;
  };
  const window = promDuration(settings.windowMs);
  const increase = (metric: string, ...matchers: string[]) => `increase(${select(metric, ...matchers)}[${window}])`;
  const running = `unless on (queue) holdfast_queue_paused == 1`;
  switch (rule) {
    case "DlqNotEmpty":
    case "DlqSizeHigh":
      return `${select("holdfast_dlq_unacknowledged_tasks")} > ${threshold}`;
    case "DlqGrowing":
      return `${increase("holdfast_dlq_arrived_total")} > ${threshold}`;
    case "DlqOldestAge":
      return `${select("holdfast_queue_oldest_age_seconds", 'state="archived"')} > ${threshold}`;
    case "DlqOverflowSoon": {
      const rate = `rate(${select("holdfast_dlq_arrived_total")}[${window}])`;
      const headroom = select("holdfast_dlq_headroom_tasks");
      return `${headroom} / (${rate} > 0) < ${threshold} or ${headroom} == 0`;
    }
    case "DlqDataLost":
      return `${increase("holdfast_dlq_evicted_total", `cause="${lostCause}"`)} > ${threshold}`;
    case "NewFailureGroup": {
      const seen = select("holdfast_dlq_group_first_seen_timestamp_seconds");
      const isNew = `on (fingerprint, type) (time() - ${seen} <= ${settings.windowMs / 1_000})`;
      return `${select("holdfast_dlq_group_tasks", 'status="open"')} > ${threshold} and ${isNew}`;
    }
    case "GroupRegressed":
      return `${select("holdfast_dlq_group_tasks", 'status="regressed"')} > ${threshold}`;
    case "TypeFailureRatio": {
      const sum = (outcomes: string) =>
        `sum by (type) (${increase("holdfast_tasks_processed_total", `outcome=~"${outcomes}"`)})`;
      const all = sum("completed|retry|archived");
      return `${sum("retry|archived")} / ${all} > ${threshold} and ${all} >= ${settings.minimum}`;
    }
    case "FinalFailureRatio": {
      const dead = increase("holdfast_dlq_arrived_total");
      const done = `(${increase("holdfast_queue_processed_total")} - ${increase("holdfast_queue_failed_total")})`;
      return `${dead} / (${dead} + ${done}) > ${threshold} and ${dead} + ${done} >= ${settings.minimum}`;
    }
    case "QueueLatency":
      return `${select("holdfast_queue_oldest_age_seconds", 'state="pending"')} > ${threshold} ${running}`;
    case "NoWorkers": {
      const pending = select("holdfast_queue_tasks", 'state="pending"');
      return `${pending} > ${threshold} and on (queue) holdfast_queue_consumers == 0 ${running}`;
    }
    case "PausedTooLong":
      return (
        `${select("holdfast_queue_paused_seconds")} > ${threshold} ` +
        `and on (queue) holdfast_queue_tasks{state="pending"} > 0`
      );
    case "ForwarderStalled":
      return `max by (queue) (${select("holdfast_queue_overdue_seconds", 'set=~"scheduled|retry"')}) > ${threshold}`;
    case "LeasesExpired":
      return `${select("holdfast_queue_overdue_seconds", 'set="lease"')} > ${threshold}`;
    case "DutyFailing":
      return `holdfast_monitor_duty_failing_seconds > ${threshold}`;
    case "NotificationsFailing":
      return `holdfast_alert_channel_failing_seconds > ${threshold}`;
    case "RedisEvicting":
      return `increase(holdfast_redis_evicted_keys_total[${window}]) > ${threshold}`;
    case "StorageDown":
      return "holdfast_monitor_storage_up == 0";
  }
  return rule satisfies never;
}

function scopeMatchers({ label, only, except = [] }: Scope): string[] {
  if (only !== undefined) return [`${label}=${JSON.stringify(only)}`];
  if (except.length === 0) return [];
  const names = except.map((name) => name.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  return [`${label}!~${JSON.stringify(names)}`];
}

/** The largest unit that is exact. */
export function promDuration(ms: number): string {
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1_000],
  ] as const;
  const [unit, unitMs] = units.find(([, one]) => ms % one === 0 && ms >= one) ?? ["ms", 1];
  return `${Math.round(ms / unitMs)}${unit}`;
}
