import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { Client, connect, defineTask, Inspector } from "../../src/index.js";
import { prometheusRules } from "../../src/ops/index.js";
import { describeRedis, freePort, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";
import { describeTool } from "./alert-tool.js";
import { monitorOf } from "./monitor-process.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-prometheus-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A Prometheus that scrapes this four times a second, and what it answers to a query. */
async function prometheusOf(program: string, scraped: URL) {
  const prometheus = {
    global: { scrape_interval: "250ms", scrape_timeout: "250ms", evaluation_interval: "250ms" },
    rule_files: [join(folder, "rules.yml")],
    scrape_configs: [{ job_name: "holdfast", static_configs: [{ targets: [scraped.host] }] }],
  };
  writeFileSync(join(folder, "prometheus.yml"), JSON.stringify(prometheus)); // JSON is YAML.
  const address = `127.0.0.1:${await freePort()}`;
  const files = [`--config.file=${join(folder, "prometheus.yml")}`, `--storage.tsdb.path=${join(folder, "data")}`];
  const child = spawn(program, [...files, `--web.listen-address=${address}`], { cwd: folder, stdio: "ignore" });
  const query = async (text: string) => {
    const answer = await fetch(`http://${address}/api/v1/query?query=${encodeURIComponent(text)}`);
    const { data } = (await answer.json()) as { data: { result: { metric: object; value: [number, string] }[] } };
    return data.result.map(({ metric, value }) => ({ metric, value: value[1] }));
  };
  const found = (what: string, text: string) =>
    until(
      what,
      async () => {
        const series = await query(text);
        return series.length > 0 ? series : undefined;
      },
      20_000,
    );
  const stop = async () => {
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  };
  return { query, found, stop };
}

describeRedis("a monitor of a real storage", () => {
  describeTool("prometheus", "a live Prometheus", (program) => {
    it("scrapes it, and an exported rule fires there", async () => {
      await using redis = await RedisServer.start();
      await using broker = connect(redis.url);
      const later = defineTask("mail:send", { queue: "mail" });
      await new Client(broker).enqueueAll([later(), later(), later()]);
      await new Inspector(broker).archive({ queue: "mail", state: "pending" }, { reason: "a test" });
      const config = { pollEvery: "200ms", queues: { mail: { DlqSizeHigh: { warning: 2, for: "0s" } } } } as const;
      writeFileSync(join(folder, "monitor.json"), JSON.stringify(config));
      writeFileSync(join(folder, "rules.yml"), prometheusRules(config));
      const monitor = await monitorOf(redis.url, join(folder, "monitor.json"));
      const prometheus = await prometheusOf(program, new URL(monitor.metrics));
      try {
        const up = await prometheus.found("it is scraped", 'up{job="holdfast"} == 1');
        expect(up).toHaveLength(1);

        const firing = 'ALERTS{alertname="DlqSizeHigh",alertstate="firing"}';
        const alerts = await prometheus.found("the rule fires", firing);
        expect(alerts).toMatchObject([{ metric: { queue: "mail", severity: "warning" }, value: "1" }]);
        expect(await prometheus.query('holdfast_queue_tasks{queue="mail",state="archived"}')).toMatchObject([
          { value: "3" },
        ]);
      } finally {
        await prometheus.stop();
        monitor.child.kill("SIGKILL");
      }
    });
  });
});
