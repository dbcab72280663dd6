import { Command } from "commander";
import { count } from "../../core/counting.js";
import { HoldfastError, invalidOption } from "../../core/errors.js";
import { type ActFlags, queueAndRest, queueOption, teaching, withActing } from "../flags.js";
import { encoded, hexLines, payloadLines } from "../payload-view.js";
import { print, printJson } from "../output.js";
import { type Opened, actOf, withStorageOpen } from "../storage.js";
import { payloadInput } from "./payload-input.js";
import { receiptLines, receiptsExitCode } from "./receipts.js";

interface Flags extends ActFlags {
  readonly queue?: string;
  readonly hex?: true;
  readonly set?: string;
  readonly file?: string;
}

export function payloadCommand(): Command {
  const command = new Command("payload")
    .summary("print a task's payload, or replace it")
    .description(
      "Print a task's payload, or replace that of one which is pending, scheduled or in retry. A pipe or a file gets the " +
        "bytes as they are; a terminal what is safe to show of them.",
    )
    .argument("[QUEUE]", "the queue")
    .argument("[ID]", "id of the task")
    .addOption(queueOption())
    .option("--hex", "print a hex dump")
    .option("--set <TEXT>", "the new payload")
    .option("--file <FILE>", "a file with the new payload; - for standard input");
  return teaching(withActing(command), [
    "holdfast task payload default ID > payload.json",
    "holdfast task payload default ID --file payload.json --reason 'wrong address'",
    "holdfast task payload default ID | jq '.retries = 3' |",
    "  holdfast task payload default ID --file -",
  ]).action(async (first: string | undefined, second: string | undefined, flags: Flags) => {
    const [queue, [id, more]] = queueAndRest(
      flags,
      [first, second].filter((word) => word !== undefined),
    );
    if (id === undefined) throw invalidOption("ID", "which task? Give its id");
    if (more !== undefined) throw invalidOption("ID", "give one id: the queue is named by --queue already");
    const payload = await payloadInput({ flag: "--set", value: flags.set }, { flag: "--file", value: flags.file });
    await withStorageOpen(flags, async (opened) =>
      payload === undefined ? show(opened, queue, id, flags) : replace(opened, queue, id, payload, flags),
    );
  });
}

async function show({ inspector }: Opened, queue: string, id: string, flags: Flags): Promise<void> {
  const { message } = await inspector.require(queue, id);
  if (message === undefined)
    throw invalidOption("ID", "what is stored of this task cannot be decoded; holdfast task show prints its bytes");
  const { payload } = message;
  if (flags.json === true) {
    const { text, encoding } = encoded(payload);
    await printJson({ queue, id, payload: text, payloadEncoding: encoding });
  } else if (flags.hex === true) await print(...hexLines(payload));
  else if (process.stdout.isTTY) await print(...payloadLines(payload));
  else process.stdout.write(payload);
}

async function replace({ inspector }: Opened, queue: string, id: string, payload: Uint8Array, flags: Flags) {
  const act = await actOf(flags, inspector);
  const { status } = await inspector.updatePayload(queue, id, payload, act);
  if (status === "notFound") throw new HoldfastError("TASK_NOT_FOUND", { queue, id });
  const receipt = { id, done: status === "updated", status };
  receiptsExitCode([receipt]);
  if (flags.json === true) await printJson({ queue, id, status, payloadBytes: payload.length });
  else await print(...receiptLines([receipt], queue, `payload of ${count(payload.length)} bytes set`));
}
