import { createReadStream, existsSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { Command } from "commander";
import { counted } from "../../core/counting.js";
import { invalidOption } from "../../core/errors.js";
import { printable } from "../../core/printable.js";
import { storedJson } from "../../core/stored-json.js";
import { recordIn } from "../../ops/audit/record.js";
import { type StorageFlags, teaching, wholeNumber, withStorage } from "../flags.js";
import { note, print, printJsonLine } from "../output.js";
import { untilStopped } from "../stopping.js";
import { withStorageOpen } from "../storage.js";
import { printableJson } from "../terminal.js";

interface ExportFlags extends StorageFlags {
  readonly after?: number;
  readonly to?: string;
}

export function exportCommand(): Command {
  const command = new Command("export")
    .summary("the sealed log as lines of JSON, which can be checked without storage")
    .description("Prints the sealed log, a record a line, as `audit verify` takes it.")
    .option("--after <N>", "records behind that one", wholeNumber("--after", 0, Number.MAX_SAFE_INTEGER))
    .option("--to <FILE>", "append to the file what it lacks, instead");
  return teaching(
    withStorage(command),
    ["holdfast audit export --to audit.jsonl", "holdfast audit export | jq 'select(.verb == \"delete\") | .actor'"],
    "Storage keeps the newest 50,000 records: older ones are in your files alone.",
  ).action(async (flags: ExportFlags) =>
    withStorageOpen(flags, async ({ broker }) => {
      const { sealedLines } = await import("../../ops/audit/check.js");
      const { to } = flags;
      const after = flags.after ?? (to === undefined ? 0 : await lastOf(to));
      let records = 0;
      await untilStopped(async (signal) => {
        for await (const line of sealedLines(broker.audit, after + 1)) {
          if (signal.aborted) break;
          // What is no JSON is no record either: checking says so.
          const value = storedJson(line) ?? line;
          if (to !== undefined) await appended(to, `${printableJson(value)}\n`);
          else if (!(await printJsonLine(value))) break;
          records += 1;
        }
      });
      const said = counted(records, "record");
      if (to === undefined) note(said);
      else await print(`${said} appended to ${printable(to)}`);
    }),
  );
}

async function appended(file: string, text: string): Promise<void> {
  await appendFile(file, text).catch((error: Error) => {
    throw invalidOption("--to", `cannot be written: ${error.message}`);
  });
}

/** The number of a file's last record. */
async function lastOf(file: string): Promise<number> {
  if (!existsSync(file)) return 0;
  let last = "";
  try {
    for await (const line of createInterface({ input: createReadStream(file, "utf8") })) if (line !== "") last = line;
  } catch (error) {
    throw invalidOption("--to", `cannot be read: ${(error as Error).message}`);
  }
  const n = last === "" ? 0 : recordIn(last)?.n;
  if (n === undefined) throw invalidOption("--to", `${JSON.stringify(file)} does not end with a record of the log`);
  return n;
}
