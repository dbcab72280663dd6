import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type AlertTool, alertTool } from "../../scripts/alert-tools.js";
import { ruleNames } from "../../src/ops/alerts/rule.js";
import { Client, connect, defineTask } from "../../src/index.js";
import { Monitor, prometheusRules } from "../../src/ops/index.js";

const root = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "holdfast-rules-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs it in the folder; answers how it ended and all that it said. */
type Run = (args: readonly string[], input?: string) => { readonly status: number | null; readonly output: string };

/** A tool of the distribution's packages; where it is not there that is said, and in CI it is a failure. */
function describeWith(tool: AlertTool, name: string, body: (run: Run) => void): void {
  const program = alertTool(tool);
  if (program === undefined && process.env["CI"] === "true")
    throw new Error(`there is no ${tool}, and CI must have one`);
  if (program === undefined) process.stderr.write(`SKIPPED, for there is no ${tool}: ${name}\n`);
  const run: Run = (args, input = "") => {
    const { status, stdout, stderr } = spawnSync(program ?? tool, args, { cwd: folder, encoding: "utf8", input });
    return { status, output: `${stdout}${stderr}` };
  };
  (program === undefined ? describe.skip : describe)(name, () => body(run));
}

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

  it("fire when ours do, and not before", () => {
    writeFileSync(join(folder, "rules.yml"), prometheusRules(config));
    const series = (name: string, values: string) => ({ series: name, values });
    const test = {
      rule_files: ["rules.yml"],
      evaluation_interval: "1m",
      tests: [
        {
          interval: "1m",
          input_series: [
            series('holdfast_queue_tasks{queue="mail",state="archived"}', "101x30"),
            series('holdfast_queue_tasks{queue="a.b",state="archived"}', "2x30"),
            // Many small queues together are no large one.
            series('holdfast_queue_tasks{queue="other",state="archived"}', "5000x30"),
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
      ],
    };
    writeFileSync(join(folder, "test.yml"), JSON.stringify(test)); // JSON is YAML.
    expect(run(["test", "rules", "test.yml"])).toMatchObject({ status: 0 });
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
