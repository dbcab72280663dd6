import { Command } from "commander";
import { count, counted } from "../../core/counting.js";
import { pause } from "../../core/loop.js";
import { printable } from "../../core/printable.js";
import type { AuditHead } from "../../ops/audit/record.js";
import { type StorageFlags, teaching, withStorage } from "../flags.js";
import { note, print, printJson, printJsonLine } from "../output.js";
import { untilStopped } from "../stopping.js";
import { withStorageOpen } from "../storage.js";
import { wrapped } from "../terminal.js";
import { headBefore, keepHead, privateKeyOf } from "./files.js";

interface SealFlags extends StorageFlags {
  readonly keyFile?: string;
  readonly head?: string;
  readonly watch?: true;
}

const everyMs = 1_000;

export function sealCommand(): Command {
  const command = new Command("seal")
    .summary("chain and sign what was done since the last time")
    .description(
      "Chains and signs what was done by hand since the last time, in all queues; what is not sealed yet can be changed by whoever may write to storage.",
    )
    .option("--key-file <FILE>", "the key to sign with; else HOLDFAST_AUDIT_KEY holds it")
    .option("--head <FILE>", "the log's end, kept there: read before, written after")
    .option("--watch", "again each second, until stopped");
  return teaching(
    withStorage(command),
    ["holdfast audit seal --key-file audit.pem --head /mnt/off/head.json --watch"],
    "`holdfast monitor` does the same. Several may run at once: each act is sealed once. Keep the head where those cannot write who can write to storage: it shows an end that was cut off.",
  ).action(async (flags: SealFlags) =>
    withStorageOpen(flags, async ({ broker }) => {
      const { sealingKey } = await import("../../ops/audit/keys.js");
      const { sealStep } = await import("../../ops/audit/seal.js");
      const watch = flags.watch === true;
      const key = sealingKey(privateKeyOf(flags.keyFile));
      let head = headBefore(flags.head);
      await untilStopped(async (signal) => {
        let [sealed, gaps]: [number, string[]] = [0, []];
        for (;;) {
          const step = await sealStep(broker, key, head);
          const news = step.head !== undefined && step.head.n !== head?.n;
          head = step.head ?? head;
          sealed += step.sealed;
          gaps.push(...step.gaps);
          if (flags.head !== undefined && news && head !== undefined) keepHead(flags.head, head);
          if (step.more && !signal.aborted) continue;
          if (!watch || sealed > 0 || gaps.length > 0) await tell(flags, { sealed, gaps, head }, watch);
          if (!watch || signal.aborted) return;
          [sealed, gaps] = [0, []];
          await pause(everyMs, signal);
        }
      });
    }),
  );
}

async function tell(
  { json }: SealFlags,
  done: { sealed: number; gaps: readonly string[]; head: AuditHead | undefined },
  watch: boolean,
): Promise<void> {
  const { sealed, gaps, head } = done;
  if (json === true) return void (await (watch ? printJsonLine : printJson)({ sealed, gaps, head: head ?? null }));
  for (const gap of gaps) note(`holdfast: missing: ${printable(gap)}`);
  const acts = `${counted(sealed, "act")} sealed`;
  const end = head === undefined ? "" : `; the log ends at record ${count(head.n)}, hash ${head.hash}`;
  await print(...wrapped(acts + end, "", "  "));
}
