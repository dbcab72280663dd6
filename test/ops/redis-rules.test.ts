import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { describeTool, rulesPassed, runIn, testRules } from "./alert-tool.js";

const rules = join(import.meta.dirname, "../../examples/redis-rules.yml");
const folder = mkdtempSync(join(tmpdir(), "holdfast-redis-rules-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What redis_exporter tells of a server that is well, minute by minute. */
const well = {
  redis_up: "1x10",
  redis_memory_max_bytes: "100x10",
  redis_memory_used_bytes: "50x10",
  redis_evicted_keys_total: "7x10",
  redis_rejected_connections_total: "7x10",
  'redis_commands_duration_seconds_total{cmd="evalsha"}': "0+0.06x10",
  'redis_commands_total{cmd="evalsha"}': "0+60x10",
  redis_rdb_last_bgsave_status: "1x10",
  redis_aof_last_write_status: "1x10",
  redis_aof_last_bgrewrite_status: "1x10",
  redis_master_link_up: "1x10",
  'redis_instance_info{role="master",maxmemory_policy="noeviction"}': "1x10",
};

const ill: [rules: string[], differs: Record<string, string>][] = [
  [["RedisDown"], { redis_up: "0x10" }],
  [["RedisMemoryHigh"], { redis_memory_used_bytes: "80x10" }],
  [["RedisMemoryFull", "RedisMemoryHigh"], { redis_memory_used_bytes: "95x10" }],
  [["RedisEvicts"], { redis_evicted_keys_total: "7x5 8x5" }],
  [["RedisConnectionsRefused"], { redis_rejected_connections_total: "7x5 9x5" }],
  [["RedisSlow"], { 'redis_commands_duration_seconds_total{cmd="evalsha"}': "0+6x10" }],
  [["RedisDoesNotPersist"], { redis_rdb_last_bgsave_status: "0x10" }],
  [["RedisDoesNotPersist"], { redis_aof_last_write_status: "0x10" }],
  [["RedisReplicaLost"], { redis_master_link_up: "0x10" }],
  [
    ["RedisFailedOver"],
    {
      'redis_instance_info{role="master",maxmemory_policy="noeviction"}': "1x6 stale",
      'redis_instance_info{role="slave",maxmemory_policy="noeviction"}': "_x6 1x4",
    },
  ],
  [
    ["RedisMayEvict"],
    {
      'redis_instance_info{role="master",maxmemory_policy="noeviction"}': "_x10",
      'redis_instance_info{role="master",maxmemory_policy="allkeys-lru"}': "1x10",
    },
  ],
];

describeTool("promtool", "examples/redis-rules.yml", (promtool) => {
  const firing = (fired: readonly string[], differs: Record<string, string>) => ({
    interval: "1m",
    input_series: Object.entries({ ...well, ...differs }).map(([series, values]) => ({ series, values })),
    promql_expr_test: [
      {
        expr: 'sort(count by (alertname) (ALERTS{alertstate="firing"}))',
        eval_time: "9m",
        exp_samples: fired.map((name) => ({ labels: `{alertname="${name}"}`, value: 1 })),
      },
    ],
  });

  it("fires for what each rule is for, and for nothing while Redis is well", () => {
    copyFileSync(rules, join(folder, "rules.yml"));
    const tests = [firing([], {}), ...ill.map(([fired, differs]) => firing(fired, differs))];
    expect(testRules(runIn(promtool, folder), folder, tests)).toMatchObject(rulesPassed);
  });
});
