import ansis from "ansis";
import { Command, Option } from "commander";
import { HoldfastError, invalidOption } from "../../core/errors.js";
import { printable } from "../../core/printable.js";
import { shellWord } from "../../core/shell-word.js";
import { type CopyResult, payloadDiff } from "../../deadletter/index.js";
import type { Duration, TaskInfo } from "../../index.js";
import { confirmed } from "../confirm.js";
import { conflictExitCode } from "../exit-codes.js";
import { type ActFlags, queueAndRest, queueOption, teaching, withActing } from "../flags.js";
import { note, print, printJson } from "../output.js";
import { actOf } from "../storage.js";
import { payloadInput } from "../task/payload-input.js";
import { findAnywhere } from "../task/find.js";
import { columns, startOf, wrapped } from "../terminal.js";
import { edited } from "./editor.js";
import { loadModule } from "./module.js";
import { withDeadLetters } from "./open.js";
import { commandLines } from "../command-lines.js";

interface Flags extends ActFlags {
  readonly queue?: string;
  readonly set?: string;
  readonly file?: string;
  readonly base64?: string;
  readonly to?: string;
  readonly unique?: Duration;
  readonly definition?: string;
  readonly anyBytes?: true;
  readonly request?: string;
  readonly dryRun?: true;
  readonly yes?: true;
}

export function editCommand(): Command {
  const command = new Command("edit")
    .summary("try a dead letter again as a copy, with another payload")
    .description(
      "Make a new task of a dead letter, with another payload or in another queue. The dead letter stays, and says so. Without a payload your editor ($VISUAL, $EDITOR) opens with the old one.",
    )
    .argument("[QUEUE]", "the queue; an id alone is looked for in all")
    .argument("[ID]", "the dead letter")
    .addOption(queueOption())
    .option("--set <TEXT>", "the new payload")
    .option("--file <FILE>", "a file with the new payload, of whatever bytes; - for standard input")
    .option("--base64 <TEXT>", "the new payload's bytes in base64")
    .option("--to <QUEUE>", "the queue of the copy; that of the dead letter unless given")
    .option("--unique <DURATION>", "how long the copy holds its unique lock; 1h where the dead letter had one")
    .option("--definition <FILE>", "a module whose definition of the type must take the payload")
    .option("--any-bytes", "take a payload that is no JSON where the old one is JSON")
    .addOption(new Option("--request <ID>", "the same again makes no second copy; made for you unless given"))
    .option("--dry-run", "show what is different, and do nothing")
    .option("-y, --yes", "do not ask");
  return teaching(
    withActing(command),
    [
      "holdfast dlq edit billing 0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1",
      "holdfast dlq edit billing ID --file fixed.json --reason 'wrong currency'",
      "holdfast dlq edit billing ID --to billing-fixup --yes",
      "holdfast task payload billing ID | jq '.n = 3' |",
      "  holdfast dlq edit billing ID --file - --yes",
    ],
    "What you write is what is stored: numbers keep their digits, keys their order. Exit code 4: not made, for another task holds its unique lock, or this is no dead letter.",
  ).action(async (first: string | undefined, second: string | undefined, flags: Flags) => {
    const words = [first, second].filter((word) => word !== undefined);
    await withDeadLetters(flags, async (opened) => {
      const { inspector, letters } = opened;
      const task = await taskOf(opened, words, flags);
      const { queue, id, message } = task;
      if (message === undefined)
        throw invalidOption("ID", "what is stored of this task cannot be decoded; holdfast task show prints its bytes");
      const definition = await definitionOf(message.type, flags);
      const given = await payloadOf(flags);
      const mayEdit = given === undefined && flags.to === undefined;
      const payload = mayEdit ? await edited(message.payload) : (given ?? message.payload);
      const people = flags.json !== true;
      if (people) await print(...diffLines(message.payload, payload));
      if (flags.dryRun === true) {
        if (!people) await printJson({ of: { queue, id }, diff: payloadDiff(message.payload, payload) });
        return;
      }
      const to = flags.to === undefined ? "" : ` in queue "${flags.to}"`;
      await confirmed(`Run a copy of ${id} with this payload${to}?`, flags);
      const result: CopyResult = await letters.copy(queue, id, {
        ...(await actOf(flags, inspector)),
        payload,
        definition,
        queue: flags.to,
        unique: flags.unique,
        anyBytes: flags.anyBytes === true,
        requestId: flags.request,
      });
      if (result.status === "notFound") throw new HoldfastError("TASK_NOT_FOUND", { queue, id });
      if (result.status !== "copied") process.exitCode = conflictExitCode;
      if (people) await tell(result, task);
      else await printJson({ of: { queue, id }, ...result });
    });
  });
}

async function taskOf(
  opened: Parameters<typeof findAnywhere>[0],
  words: readonly string[],
  flags: { readonly queue?: string },
): Promise<TaskInfo> {
  if (words.length === 1 && flags.queue === undefined) return findAnywhere(opened, words[0]!);
  const [queue, [id, more]] = queueAndRest(flags, words);
  if (id === undefined) throw invalidOption("ID", "which dead letter? Give its id");
  if (more !== undefined) throw invalidOption("ID", "give one id: the queue is named by --queue already");
  return opened.inspector.require(queue, id);
}

async function definitionOf(type: string, { definition: file }: Flags) {
  if (file === undefined) return undefined;
  const { definition } = await loadModule(file, "--definition", type, undefined);
  if (definition !== undefined) return definition;
  throw invalidOption("--definition", `exports no definition of the type ${JSON.stringify(type)}`);
}

async function payloadOf({ set, file, base64 }: Flags): Promise<Uint8Array | undefined> {
  const given = await payloadInput({ flag: "--set", value: set }, { flag: "--file", value: file });
  if (base64 === undefined) return given;
  if (given !== undefined) throw invalidOption("--base64", "cannot be given together with another payload");
  const bytes = Buffer.from(base64, "base64");
  if (bytes.toString("base64").replace(/=+$/, "") === base64.replace(/=+$/, "")) return bytes;
  throw invalidOption("--base64", "is no base64");
}

const marks = { both: " ", old: "-", new: "+" };
/** Lines that stayed are shown around what is different, so many of them. */
const around = 3;

function diffLines(before: Uint8Array, after: Uint8Array): string[] {
  if (Buffer.compare(before, after) === 0) return ["The payload is the same."];
  const lines = payloadDiff(before, after);
  const near = lines.map((_, n) =>
    lines.slice(Math.max(0, n - around), n + around + 1).some(({ side }) => side !== "both"),
  );
  if (!near.includes(true)) return ["Only blanks between the parts of the JSON are different."];
  return lines.flatMap(({ side, text }, n) => {
    if (near[n] !== true) return near[n - 1] === true ? [ansis.dim("  …")] : [];
    const line = startOf(`${marks[side]} ${text}`, columns());
    return [side === "old" ? ansis.red(line) : side === "new" ? ansis.green(line) : line];
  });
}

async function tell(result: CopyResult, { queue, id }: TaskInfo): Promise<void> {
  switch (result.status) {
    case "copied": {
      await print(
        ...wrapped(`${result.again ? "made before" : "copied"}  ${result.id}  (queue ${result.queue})`, "", "  "),
      );
      note(
        "See what becomes of it:",
        ...commandLines(["holdfast task show", shellWord(result.queue), shellWord(result.id)]),
        "Done with the original?",
        ...commandLines(["holdfast dlq discard", shellWord(queue), shellWord(id), "--reason …"]),
      );
      return;
    }
    case "duplicate":
      if (result.holder === id)
        await print(
          ansis.yellow("not made: the dead letter itself holds that unique lock. Run it, or discard it first"),
        );
      else
        await print(ansis.yellow(`not made: task ${printable(result.holder)} holds the unique lock of that payload`));
      return;
    case "unknown":
      await print(
        ansis.yellow(`not made: nobody knows whether copy ${printable(result.id)} of an earlier call has been run`),
      );
      return;
    case "wrongState":
      await print(ansis.yellow(`not made: ${printable(id)} is no dead letter`));
      return;
    case "notFound":
      return;
  }
}
