import { Command, Option } from "commander";
import type { Duration, EnqueueReceipt } from "../../index.js";
import { invalidOption, shown } from "../../core/errors.js";
import { isJson } from "../../core/json-text.js";
import { rawBytes } from "../../core/payload.js";
import { printable } from "../../core/printable.js";
import type { Setting } from "../../core/settings.js";
import { callSettings, defineTask } from "../../core/task.js";
import { conflictExitCode } from "../exit-codes.js";
import { dateOf, type StorageFlags, teaching, withStorage } from "../flags.js";
import { textOf } from "../payload-view.js";
import { note, print, printJson } from "../output.js";
import { withStorageOpen } from "../storage.js";
import { payloadInput } from "./payload-input.js";

interface Flags extends StorageFlags {
  readonly type: string;
  readonly queue?: string;
  readonly payload?: string;
  readonly payloadFile?: string;
  readonly id?: string;
  readonly retry?: number;
  readonly timeout?: Duration;
  readonly deadline?: Date;
  readonly unique?: Duration;
  readonly processAt?: Date;
  readonly processIn?: Duration;
  readonly retention?: Duration;
  readonly header?: Readonly<Record<string, string>>;
}

export function enqueueCommand(): Command {
  const { queue, id, maxRetry, timeout, deadline, unique, processAt, processIn, retention } = callSettings;
  const command = new Command("enqueue")
    .summary("put a task on a queue")
    .description("Put a task on a queue. The payload's bytes are kept as they are given; handlers expect JSON mostly.")
    .requiredOption("-t, --type <TYPE>", "the task's type: which handler is to run it")
    .addOption(checked("-q, --queue <QUEUE>", queue))
    .option("-p, --payload <TEXT>", "the payload; none unless given")
    .option("--payload-file <FILE>", "a file with the payload; - for standard input")
    .addOption(checked("--id <ID>", id))
    .addOption(checked("--retry <N>", maxRetry))
    .addOption(checked("--timeout <DURATION>", timeout))
    .addOption(checked("--deadline <TIME>", deadline))
    .addOption(checked("--unique <DURATION>", unique))
    .addOption(checked("--process-at <TIME>", processAt))
    .addOption(checked("--process-in <DURATION>", processIn))
    .addOption(checked("--retention <DURATION>", retention))
    .addOption(new Option("--header <NAME=VALUE>", "a header; may be given many times").argParser(withHeader));
  return teaching(
    withStorage(command),
    [
      `holdfast task enqueue -t email:welcome -p '{"to":"ann@example.com"}'`,
      "holdfast task enqueue -q low -t report --process-in 10m --unique 1h",
      "jq -c .order order.json | holdfast task enqueue -t order --payload-file -",
    ],
    'A DURATION has a unit: "250ms", "30s", "1.5m", "2h", "7d"; a TIME is written as in 2026-11-22T15:04:05Z. Exit code 4: not taken, for its id or its unique lock is held.',
  ).action(enqueue);
}

/** A flag with the sentence, the check and the default of the library's own option. */
function checked(flags: string, setting: Setting<unknown, unknown>): Option {
  const { kind, says } = setting;
  const option = new Option(flags, says);
  const name = option.long!;
  return option.argParser((word) => {
    const value = kind === "integer" ? Number(word) : kind === "date" ? dateOf(word, name) : word;
    setting.parse(value, name);
    return value;
  });
}

function withHeader(word: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = word.indexOf("=");
  if (at < 1) throw invalidOption("--header", `must be NAME=VALUE, got ${shown(word)}`);
  return { ...before, [word.slice(0, at)]: word.slice(at + 1) };
}

async function enqueue(flags: Flags): Promise<void> {
  const payload = await payloadInput(
    { flag: "--payload", value: flags.payload },
    { flag: "--payload-file", value: flags.payloadFile },
  );
  const {
    type,
    queue,
    id,
    retry: maxRetry,
    timeout,
    deadline,
    unique,
    processAt,
    processIn,
    retention,
    header,
  } = flags;
  const given = { queue, id, maxRetry, timeout, deadline, unique, processAt, processIn, retention, headers: header };
  const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const request =
    payload === undefined
      ? defineTask(type)(undefined, options)
      : defineTask<Uint8Array>(type, { codec: rawBytes })(payload, options);
  const receipt = await withStorageOpen(flags, async ({ broker, Client }) => new Client(broker).enqueue(request), {
    mayCreate: true,
  });
  const name = queue ?? request.definition.options.queue;
  if (receipt.status === "duplicate" || receipt.status === "idTaken") process.exitCode = conflictExitCode;
  if (flags.json === true) {
    await printJson({ queue: name, ...receipt });
    return;
  }
  await print(sentence(receipt, name));
  const text = payload === undefined ? undefined : textOf(payload);
  if (text !== undefined && !isJson(text)) note("Note: this payload is no JSON, which most handlers expect.");
}

function sentence(receipt: EnqueueReceipt, queue: string): string {
  const id = printable(receipt.id);
  switch (receipt.status) {
    case "enqueued":
      return `enqueued  ${id}  (queue ${queue}, ${receipt.state})`;
    case "spooled":
      return `spooled  ${id}  (queue ${queue})`;
    case "duplicate":
      return `not taken: task ${id} holds its unique lock`;
    case "idTaken":
      return `not taken: there is a task ${id} already`;
  }
}
