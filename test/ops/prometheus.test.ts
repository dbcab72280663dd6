import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import type { AlertTool } from "../../scripts/alert-tools.js";
import { type RuleName, ruleNames } from "../../src/ops/alerts/rule.js";
import { Client, connect, defineTask } from "../../src/index.js";
import { Monitor, prometheusRules } from "../../src/ops/index.js";
import { describeTool, rulesPassed, type Run, runIn, testRules } from "./alert-tool.js";

const root = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "holdfast-rules-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const describeWith = (tool: AlertTool, name: string, body: (run: Run) => void) =>
  describeTool(tool, name, (program) => body(runIn(program, folder)));

/** What makes each rule fire, as series of a sample a minute: when it does not do so yet, and when it does. */
const causes: Record<
  RuleName,
  { readonly series: Record<string, string>; readonly quiet: string; readonly fires: string }
> = {
  DlqNotEmpty: {
    series: { 'holdfast_dlq_unacknowledged_tasks{queue="mail"}': "1x60" },
    quiet: "14m",
    fires: "16m",
  },
  DlqSizeHigh: {
    series: { 'holdfast_dlq_unacknowledged_tasks{queue="mail"}': "101x60" },
    quiet: "4m",
    fires: "6m",
  },
  DlqGrowing: { series: { 'holdfast_dlq_arrived_total{queue="mail"}': "0+3x60" }, quiet: "5m", fires: "20m" },
  DlqOldestAge: {
    series: { 'holdfast_queue_oldest_age_seconds{queue="mail",state="archived"}': "86401+60x60" },
    quiet: "9m",
    fires: "11m",
  },
  DlqOverflowSoon: {
    series: {
      'holdfast_dlq_headroom_tasks{queue="mail"}': "100x60",
      'holdfast_dlq_arrived_total{queue="mail"}': "0+1x60",
    },
    quiet: "4m",
    fires: "16m",
  },
  DlqDataLost: {
    series: { 'holdfast_dlq_evicted_total{queue="mail",cause="size"}': "0x5 6x30" },
    quiet: "4m",
    fires: "7m",
  },
  NewFailureGroup: {
    series: {
      'holdfast_dlq_group_tasks{fingerprint="v1:a",type="mail:send",status="open"}': "9x4 10x30",
      'holdfast_dlq_group_first_seen_timestamp_seconds{fingerprint="v1:a",type="mail:send"}': "0x60",
    },
    quiet: "4m",
    fires: "6m",
  },
  GroupRegressed: {
    series: { 'holdfast_dlq_group_tasks{fingerprint="v1:a",type="mail:send",status="regressed"}': "_x5 1x30" },
    quiet: "4m",
    fires: "7m",
  },
  TypeFailureRatio: {
    series: {
      'holdfast_tasks_processed_total{queue="mail",type="mail:send",outcome="completed"}': "0+8x60",
      'holdfast_tasks_processed_total{queue="mail",type="mail:send",outcome="retry"}': "0+3x60",
    },
    quiet: "9m",
    fires: "25m",
  },
  FinalFailureRatio: {
    series: {
      'holdfast_dlq_arrived_total{queue="mail"}': "0+1x60",
      'holdfast_queue_processed_total{queue="mail"}': "0+10x60",
      'holdfast_queue_failed_total{queue="mail"}': "0+1x60",
    },
    quiet: "14m",
    fires: "35m",
  },
  QueueLatency: {
    series: { 'holdfast_queue_oldest_age_seconds{queue="mail",state="pending"}': "61x60" },
    quiet: "4m",
    fires: "6m",
  },
  NoWorkers: {
    series: {
      'holdfast_queue_tasks{queue="mail",state="pending"}': "5x60",
      'holdfast_queue_consumers{queue="mail"}': "0x60",
    },
    quiet: "1m",
    fires: "3m",
  },
  PausedTooLong: {
    series: {
      'holdfast_queue_paused_seconds{queue="mail"}': "3540+60x60",
      'holdfast_queue_tasks{queue="mail",state="pending"}': "1x60",
    },
    quiet: "1m",
    fires: "2m",
  },
  ForwarderStalled: {
    series: { 'holdfast_queue_overdue_seconds{queue="mail",set="scheduled"}': "61x60" },
    quiet: "1m",
    fires: "3m",
  },
  LeasesExpired: {
    series: { 'holdfast_queue_overdue_seconds{queue="mail",set="lease"}': "61x60" },
    quiet: "1m",
    fires: "3m",
  },
  DutyFailing: {
    series: { 'holdfast_monitor_duty_failing_seconds{duty="rules"}': "480+60x30" },
    quiet: "1m",
    fires: "4m",
  },
  NotificationsFailing: {
    series: { 'holdfast_alert_channel_failing_seconds{channel="ops"}': "180+60x30" },
    quiet: "1m",
    fires: "4m",
  },
  RedisEvicting: {
    series: { 'holdfast_redis_evicted_keys_total{node="10.0.0.1:6379"}': "0x5 3x30" },
    quiet: "4m",
    fires: "7m",
  },
  StorageDown: { series: { holdfast_monitor_storage_up: "1x5 0x30" }, quiet: "4m", fires: "20m" },
};

const config = {
  queues: { "a.b": { DlqSizeHigh: { warning: 1, for: "1m" } } },
  types: { "invoice:charge": { criticality: "high" } },
} as const;

it("has a runbook for each rule", () => {
  expect(ruleNames.filter((name) => !existsSync(join(root, `docs/operate/alerts/${name}.md`)))).toEqual([]);
});

describeWith("promtool", "the rules for Prometheus", (run) => {
  it("are rules, whatever is set", () => {
    writeFileSync(join(folder, "rules.yml"), prometheusRules(config));
    expect(run(["check", "rules", "rules.yml"])).toMatchObject({ status: 0 });
    expect(prometheusRules(config)).toContain('queue!~\\"a\\\\\\\\.b\\"');
  });

  it("fire each for its cause, and not before", () => {
    writeFileSync(join(folder, "rules.yml"), prometheusRules({}));
    const tests = Object.entries(causes).map(([rule, { series, quiet, fires }]) => ({
      name: rule,
      interval: "1m",
      input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
      promql_expr_test: [
        { at: quiet, exp_samples: [] },
        { at: fires, exp_samples: [{ labels: "{}", value: 1 }] },
      ].map(({ at, exp_samples }) => ({
        expr: `count(ALERTS{alertstate="firing",alertname="${rule}"})`,
        eval_time: at,
        exp_samples,
      })),
    }));
    expect(testRules(run, folder, tests)).toMatchObject(rulesPassed);
  });

  it("leave out what a configuration says of a queue, and what is many queues or paused", () => {
    writeFileSync(join(folder, "rules.yml"), prometheusRules(config));
    const series = (name: string, values: string) => ({ series: name, values });
    const tests = [
      {
        interval: "1m",
        input_series: [
          series('holdfast_dlq_unacknowledged_tasks{queue="mail"}', "101x30"),
          series('holdfast_dlq_unacknowledged_tasks{queue="a.b"}', "2x30"),
          // Many small queues together are no large one.
          series('holdfast_dlq_unacknowledged_tasks{queue="other"}', "5000x30"),
          series('holdfast_queues_folded{queue="other"}', "4800x30"),
          series('holdfast_queue_tasks{queue="idle",state="pending"}', "5x30"),
          series('holdfast_queue_tasks{queue="paused",state="pending"}', "5x30"),
          series('holdfast_queue_consumers{queue="idle"}', "0x30"),
          series('holdfast_queue_consumers{queue="paused"}', "0x30"),
          series('holdfast_queue_paused{queue="idle"}', "0x30"),
          series('holdfast_queue_paused{queue="paused"}', "1x30"),
        ],
        promql_expr_test: ["4m", "6m"].map((at) => ({
          expr: 'sort(count by (alertname, queue) (ALERTS{alertstate="firing",alertname=~"DlqSizeHigh|NoWorkers"}))',
          eval_time: at,
          exp_samples: [
            { labels: '{alertname="DlqSizeHigh",queue="a.b"}', value: 1 },
            ...(at === "6m" ? [{ labels: '{alertname="DlqSizeHigh",queue="mail"}', value: 1 }] : []),
            { labels: '{alertname="NoWorkers",queue="idle"}', value: 1 },
          ],
        })),
      },
    ];
    expect(testRules(run, folder, tests)).toMatchObject(rulesPassed);
  });
});

describeWith("promtool", "the metrics", (run) => {
  it("are what Prometheus takes, and are named as it advises", async () => {
    await using broker = connect("memory:");
    await new Client(broker).enqueue(defineTask("mail:send")());
    const text = await new Monitor(broker).metrics();

    expect(text).toContain("holdfast_queue_tasks{");
    expect(run(["check", "metrics"], text)).toEqual({ status: 0, output: "" });
  });
});

describeWith("amtool", "the example for Alertmanager", (run) => {
  it("is a configuration, which wakes somebody for what is critical alone", () => {
    const file = join(root, "examples/alertmanager.yml");
    expect(run(["check-config", file])).toMatchObject({ status: 0 });
    const routed = (severity: string) =>
      run(["config", "routes", "test", `--config.file=${file}`, `severity=${severity}`]).output.split("\n")[0];
    expect(["critical", "warning", "info"].map(routed)).toEqual(["pager", "tickets", "nobody"]);
  });
});
