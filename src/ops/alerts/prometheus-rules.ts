import { type MonitorConfig, type ResolvedMonitorConfig, resolveMonitorConfig } from "../monitor-config.js";
import { expressionOf, promDuration, type Scope } from "./expressions.js";
import { settingsFor } from "./rule-settings.js";
import type { Labels, Rule, RuleSettings } from "./rule.js";
import { rules } from "./rules.js";
import { severities } from "./severity.js";
import { runbookOf } from "./texts.js";

/**
 * The same rules for Prometheus, as a rules file: the thresholds of the configuration, those of single queues and types
 * included. Each level is an alert of its own there, with the label `severity`.
 * @throws OPTION_INVALID
 */
export function prometheusRules(config: MonitorConfig = {}): string {
  const resolved = resolveMonitorConfig(config);
  const lines = ["# Made by: holdfast alerts export", "groups:", "  - name: holdfast", "    rules:"];
  for (const rule of rules) {
    for (const { scope, settings } of scopesOf(rule, resolved))
      lines.push(...alertLines(rule, scope, settings, resolved));
  }
  return `${lines.join("\n")}\n`;
}

interface Scoped {
  readonly scope: Scope;
  readonly settings: RuleSettings;
}

/** For all, but those of which something else was said; and for each of these. */
function scopesOf(rule: Rule, config: ResolvedMonitorConfig): Scoped[] {
  const label: Scope["label"] = typed.has(rule.name) ? "type" : "queue";
  const special =
    label === "type"
      ? [...config.criticality].filter(([, one]) => one !== "normal").map(([type]) => type)
      : [...config.queues].filter(([, one]) => one.has(rule.name)).map(([queue]) => queue);
  const settingsOf = (labels: Labels) => settingsFor(config, rule.name, labels);
  return [
    { scope: { label, except: special }, settings: settingsOf({}) },
    ...special.map((name) => ({ scope: { label, only: name }, settings: settingsOf({ [label]: name }) }) as const),
  ].filter(({ settings }) => settings.enabled);
}

const typed: ReadonlySet<string> = new Set(["TypeFailureRatio", "NewFailureGroup", "GroupRegressed"]);

function alertLines(rule: Rule, scope: Scope, settings: RuleSettings, config: ResolvedMonitorConfig): string[] {
  return severities.flatMap((severity) => {
    const threshold = settings.thresholds[severity];
    if (threshold === undefined) return [];
    const summary = rule.title(templates, "{{ $value }}");
    return [
      `      - alert: ${rule.name}`,
      `        expr: ${JSON.stringify(expressionOf(rule.name, scope, threshold, settings))}`,
      ...(settings.forMs === 0 ? [] : [`        for: ${promDuration(settings.forMs)}`]),
      ...(settings.keepFiringMs === 0 ? [] : [`        keep_firing_for: ${promDuration(settings.keepFiringMs)}`]),
      "        labels:",
      `          severity: ${severity}`,
      `          environment: ${JSON.stringify(config.environment)}`,
      "        annotations:",
      `          summary: ${JSON.stringify(summary)}`,
      `          description: ${JSON.stringify(`${rule.says}: ${severity}. First: ${rule.first(templates)}`)}`,
      `          runbook_url: ${JSON.stringify(runbookOf(rule.name, config.runbooks))}`,
    ];
  });
}

/** Prometheus fills these in. */
const templates: Labels = Object.fromEntries(
  ["queue", "type", "fingerprint", "duty", "channel", "node"].map((name) => [name, `{{ $labels.${name} }}`]),
);
