import { Command } from "commander";
import { untilSignal } from "../../core/loop.js";
import { type StorageFlags, teaching, wholeNumber, withStorage } from "../flags.js";
import { note } from "../output.js";
import { withStorageOpen } from "../storage.js";
import { readConfig } from "./config-file.js";
import { logTo } from "./log.js";
import { mailer } from "./mailer.js";

interface Flags extends StorageFlags {
  readonly config?: string;
  readonly port?: number;
  readonly host?: string;
}

export function monitorCommand(): Command {
  const command = new Command("monitor")
    .summary("watch queues: metrics, alerts, and what somebody has to do")
    .description(
      "Watch queues and dead letters until a signal ends it: metrics for Prometheus on /metrics, alerts by webhook and e-mail, and the duties that one process has to do. Any number may run; each duty is done by one of them.",
    )
    .option("--config <FILE>", "a JSON file: thresholds, and who is told")
    .option("--port <PORT>", "where /metrics and /healthz are, 9464 unless given", wholeNumber("--port", 0, 65_535))
    .option("--host <ADDRESS>", "on which address, 127.0.0.1 unless given");
  return teaching(
    withStorage(command),
    [
      "holdfast monitor",
      "holdfast monitor --config monitor.json --host 0.0.0.0",
      "curl -s localhost:9464/metrics | grep dlq",
    ],
    "Without a file it measures and judges, and tells nobody: holdfast alerts ls. With --json its log is JSON Lines.",
  ).action(async (flags: Flags) => {
    const config = readConfig(flags.config);
    await withStorageOpen(flags, async ({ broker }) => {
      const { Monitor } = await import("../../ops/index.js");
      const { monitorServer } = await import("../../http/index.js");
      await using monitor = new Monitor(broker, { ...config, mailer, log: logTo(process.stderr, flags.json === true) });
      const { port, host } = flags;
      await using server = await monitorServer(monitor, {
        ...(port === undefined ? {} : { port }),
        ...(host === undefined ? {} : { host }),
      });
      monitor.start();
      note(
        `Watching ${broker.label}; metrics at http://${host ?? "127.0.0.1"}:${server.port}/metrics. Ctrl-C ends it.`,
      );
      await untilSignal();
    });
  });
}
