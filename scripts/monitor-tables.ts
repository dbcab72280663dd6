import { settingsFor } from "../src/ops/alerts/rule-settings.js";
import { rules } from "../src/ops/alerts/rules.js";
import { promDuration } from "../src/ops/alerts/expressions.js";
import { severities } from "../src/ops/alerts/severity.js";
import { valueText } from "../src/ops/alerts/texts.js";
import { mailSettings, webhookSettings } from "../src/ops/delivery/channels.js";
import { StorageMetrics } from "../src/ops/metrics/families.js";
import { ownFamilies } from "../src/ops/metrics/own-families.js";
import { monitorSettings, resolveMonitorConfig } from "../src/ops/monitor-config.js";
import { Trail } from "../src/ops/trail.js";
import { table } from "./markdown-table.js";
import { optionTable } from "./option-tables.js";

/** The tables of docs/operate/monitoring.md. */
export function monitorTables(): Record<string, string> {
  return {
    metrics: metricTable(),
    rules: ruleTable(),
    monitor: optionTable(monitorSettings),
    webhook: optionTable(webhookSettings),
    mail: optionTable(mailSettings),
  };
}

function metricTable(): string {
  const nothing = { atMs: 0, queues: [], groups: undefined, types: undefined, servers: [] };
  const own = ownFamilies({ storageUp: true, failing: {}, firing: new Map(), counts: new Map(), undelivered: {} });
  const rows = [...new StorageMetrics(resolveMonitorConfig(), new Trail(1)).families(nothing), ...own].map(
    ({ name, type, help }) => [`\`${name}\``, type, help],
  );
  return table(["Metric", "Type", "What it is"], rows);
}

function ruleTable(): string {
  const config = resolveMonitorConfig();
  const rows = rules.map(({ name, says, unit, bad }) => {
    const { thresholds, forMs, keepFiringMs } = settingsFor(config, name, {});
    const levels = severities.flatMap((level) =>
      thresholds[level] === undefined ? [] : [`${level} ${bad} ${valueText(thresholds[level], unit)}`],
    );
    return [`[${name}](alerts/${name}.md)`, says, levels.join(", "), promDuration(forMs), promDuration(keepFiringMs)];
  });
  return table(["Rule", "What it watches", "Thresholds", "`for`", "`keepFiring`"], rows);
}
