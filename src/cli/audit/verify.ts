import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import ansis from "ansis";
import { Command } from "commander";
import { count } from "../../core/counting.js";
import { invalidOption } from "../../core/errors.js";
import type { ChainVerdict } from "../../ops/audit/check.js";
import type { CheckingKeys } from "../../ops/audit/keys.js";
import type { UnsealedActs } from "../../ops/audit/look.js";
import type { AuditHead } from "../../ops/audit/record.js";
import { storageExitCode } from "../exit-codes.js";
import { type StorageFlags, teaching, withStorage } from "../flags.js";
import { print, printJson } from "../output.js";
import { withStorageOpen } from "../storage.js";
import { wrapped } from "../terminal.js";
import { iso, relative } from "../times.js";
import { keptHead, textIn } from "./files.js";

interface VerifyFlags extends StorageFlags {
  readonly publicKey?: readonly string[];
  readonly head?: readonly string[];
}

export function verifyCommand(): Command {
  const command = new Command("verify")
    .summary("whether the sealed log is as it was sealed")
    .description(
      "Checks the sealed log in storage, or as it was exported, in the order of the files: each hash, each signature, that nothing is missing, and that it has the ends that were kept.",
    )
    .argument("[FILE...]", "what `audit export` wrote; needs no storage then")
    .requiredOption("--public-key <FILE>", "the public half of the key; again, where it was changed", each)
    .option("--head <FILE>", "an end of the log that was kept elsewhere; again for more", each);
  return teaching(
    withStorage(command),
    [
      "holdfast audit verify --public-key audit.pem.pub --head /mnt/head.json",
      "holdfast audit verify october.jsonl november.jsonl --public-key audit.pem.pub",
    ],
    "Exit code 5: it is not as it was sealed. Without --head nobody can tell that its end was cut off. Acts that the sealer itself missed are told, and change nothing in the exit code.",
  ).action(async (files: readonly string[], flags: VerifyFlags) => {
    const { checkingKeys } = await import("../../ops/audit/keys.js");
    const keys = checkingKeys((flags.publicKey ?? []).map((file) => textIn(file, "--public-key")));
    const heads = (flags.head ?? []).map((file) => keptHead(file));
    const { verdict, unsealed, nowMs } =
      files.length > 0 ? await inFiles(files, keys, heads) : await inStorage(flags, keys, heads);
    if (!verdict.ok) process.exitCode = storageExitCode;
    if (flags.json === true)
      await printJson({ ...verdict, unsealed: unsealed === undefined ? null : unsealedJson(unsealed) });
    else await print(...verdictLines(verdict, unsealed, nowMs));
  });
}

const each = (file: string, before: readonly string[] = []) => [...before, file];

interface Checked {
  readonly verdict: ChainVerdict;
  readonly unsealed?: UnsealedActs;
  readonly nowMs: number;
}

async function inFiles(files: readonly string[], keys: CheckingKeys, heads: readonly AuditHead[]): Promise<Checked> {
  const { ChainCheck } = await import("../../ops/audit/check.js");
  const check = new ChainCheck(keys, heads);
  for (const file of files) {
    const stream = createReadStream(file, "utf8");
    try {
      for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
        if (line !== "") check.add(line);
      }
    } catch (error) {
      throw invalidOption("FILE", `cannot be read: ${(error as Error).message}`);
    }
  }
  return { verdict: check.end(), nowMs: 0 };
}

async function inStorage(flags: VerifyFlags, keys: CheckingKeys, heads: readonly AuditHead[]): Promise<Checked> {
  return withStorageOpen(flags, async ({ broker }) => {
    const { checkStored } = await import("../../ops/audit/check.js");
    const { unsealedActs } = await import("../../ops/audit/look.js");
    const verdict = await checkStored(broker.audit, keys, heads);
    return { verdict, unsealed: await unsealedActs(broker.audit), nowMs: broker.clock.nowMs() };
  });
}

function verdictLines(verdict: ChainVerdict, unsealed: UnsealedActs | undefined, nowMs: number): string[] {
  const { ok, records, first, head, problems, problemCount, told } = verdict;
  const line = (text: string) => wrapped(text, "", "  ");
  const span = head === undefined ? "" : `, ${count(first ?? 0)} to ${count(head.n)}, sealed until ${head.sealedAt}`;
  const left = problemCount - problems.length;
  return [
    ...problems.flatMap(({ n, problem }) =>
      line(n === undefined ? problem : `record ${n}: ${problem}`).map((text) => ansis.red(text)),
    ),
    ...(left > 0 ? [`and ${count(left)} more`] : []),
    ...told.flatMap(({ n, problem }) => line(`missing, as record ${n} says: ${problem}`)),
    ...line(`${count(records)} records${span}: ${ok ? "as they were sealed" : "NOT as they were sealed"}`),
    ...(head === undefined ? [] : line(`head ${head.hash}`)),
    ...(unsealed === undefined || unsealed.count === 0 ? [] : line(unsealedSays(unsealed, nowMs))),
  ];
}

function unsealedSays({ count: acts, more, sinceMs }: UnsealedActs, nowMs: number): string {
  const since = sinceMs === undefined ? "" : `, the oldest ${relative(sinceMs, nowMs)}`;
  return `${more ? "more than " : ""}${count(acts)} acts are not sealed yet${since}: nothing protects them`;
}

const unsealedJson = ({ count: acts, more, sinceMs }: UnsealedActs) => ({ count: acts, more, since: iso(sinceMs) });
