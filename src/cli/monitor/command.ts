import { Command } from "commander";
import { pause, untilSignal } from "../../core/loop.js";
import { invalidOption } from "../../core/errors.js";
import type { Logger } from "../../core/log.js";
import type { GrowthKeeper } from "../../deadletter/index.js";
import type { Broker } from "../../index.js";
import type { AuditHead, Duty } from "../../ops/index.js";
import { type StorageFlags, teaching, wholeNumber, withStorage } from "../flags.js";
import { note } from "../output.js";
import { withStorageOpen } from "../storage.js";
import { headBefore, keepHead, privateKeyOf } from "../audit/files.js";
import { auditKey } from "../env.js";
import { keyOf } from "../key-file.js";
import { readConfig } from "./config-file.js";
import { logTo } from "./log.js";
import { mailer } from "./mailer.js";

interface Flags extends StorageFlags {
  readonly config?: string;
  readonly port?: number;
  readonly host?: string;
  readonly auditKeyFile?: string;
  readonly auditHead?: string;
  readonly spill?: string;
  readonly spillKeyFile?: string;
}

export function monitorCommand(): Command {
  const command = new Command("monitor")
    .summary("watch queues: metrics, alerts, and what somebody has to do")
    .description(
      "Watch queues and dead letters until a signal ends it: metrics for Prometheus on /metrics, alerts by webhook and e-mail, and the duties that one process has to do. Any number may run; each duty is done by one of them.",
    )
    .option("--config <FILE>", "a JSON file: thresholds, and who is told")
    .option("--port <PORT>", "where /metrics and /healthz are, 9464 unless given", wholeNumber("--port", 0, 65_535))
    .option("--host <ADDRESS>", "on which address, 127.0.0.1 unless given")
    .option("--audit-key-file <FILE>", "seal the audit log with this key; or HOLDFAST_AUDIT_KEY")
    .option("--audit-head <FILE>", "the audit log's end, kept there")
    .option("--spill <DIRECTORY>", "where dead letters go whose policy says so")
    .option("--spill-key-file <FILE>", "encrypts those files: 32 bytes, or those in base64");
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
      const log = logTo(process.stderr, flags.json === true);
      await using keeper = await growthKeeper(broker, flags);
      const redrives = await redriving(broker, log);
      const duties = [
        ...(await sealing(broker, flags, log)),
        growthDuty(keeper),
        redrives.duty,
        await rulesDuty(broker),
      ];
      await using monitor = new Monitor(broker, { ...config, mailer, duties, log });
      const { port, host } = flags;
      await using server = await monitorServer(monitor, {
        ...(port === undefined ? {} : { port }),
        ...(host === undefined ? {} : { host }),
      }).catch((error: unknown) => {
        throw unheard(error);
      });
      monitor.start();
      note(
        `Watching ${broker.label}; metrics at http://${host ?? "127.0.0.1"}:${server.port}/metrics. Ctrl-C ends it.`,
      );
      await untilSignal();
      // Another monitor need not wait until this one's turn has run out.
      await redrives.release();
    });
  });
}

/** What is wrong with an address that cannot be listened on. */
function unheard(error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE")
    return invalidOption("--port", `is in use: ${message}. Another one, or 0 for any, will do`);
  return error;
}

/** What policies say becomes of dead letters. A key without a directory is a mistake. */
async function growthKeeper(broker: Broker, { spill: directory, spillKeyFile: keyFile }: Flags): Promise<GrowthKeeper> {
  if (keyFile !== undefined && directory === undefined)
    throw invalidOption("--spill", "is needed with --spill-key-file");
  const { DeadLetters } = await import("../../deadletter/index.js");
  return new DeadLetters(broker).growthKeeper({ directory, key: keyOf({ keyFile }) });
}

const growthDuty = (keeper: GrowthKeeper): Duty => ({
  name: "dead-letter-growth",
  everyMs: 5_000,
  step: async () => (await keeper.step()).more,
});

/** Drives what nobody drives: whoever has begun it has gone, or only begun it. */
async function redriving(broker: Broker, log: Logger) {
  const { DeadLetters } = await import("../../deadletter/index.js");
  const { redrives } = new DeadLetters(broker);
  const onError = (error: unknown) => log.warn({ error }, "a redrive could not go on; trying again");
  const duty: Duty = {
    name: "redrives",
    everyMs: 1_000,
    async step(signal) {
      const waitMs = await redrives.step(onError);
      if (waitMs >= 1_000) return false;
      await pause(waitMs, signal);
      return true;
    },
  };
  return { duty, release: () => redrives.release() };
}

async function rulesDuty(broker: Broker): Promise<Duty> {
  const { DeadLetters } = await import("../../deadletter/index.js");
  const evaluator = new DeadLetters(broker).ruleEvaluator();
  return { name: "rules", everyMs: 5_000, step: async (signal) => (await evaluator.step(signal)).more };
}

/** Only where there is a key. */
async function sealing(broker: Broker, { auditKeyFile, auditHead }: Flags, log: Logger): Promise<Duty[]> {
  if (auditKeyFile === undefined && auditKey() === undefined) return [];
  const { sealingDuty, sealingKey } = await import("../../ops/index.js");
  const onHead = auditHead === undefined ? undefined : (head: AuditHead) => keepHead(auditHead, head);
  return [
    sealingDuty(broker, sealingKey(privateKeyOf(auditKeyFile, "--audit-key-file")), {
      head: headBefore(auditHead, "--audit-head"),
      onHead,
      log,
    }),
  ];
}
