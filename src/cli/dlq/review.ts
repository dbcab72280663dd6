import ansis from "ansis";
import { Command } from "commander";
import type { Review, TypeReview } from "../../deadletter/index.js";
import { printSearch, searchOf } from "../../deadletter/search/query.js";
import { type StorageFlags, teaching, wholeNumber, withStorage } from "../flags.js";
import { print, printJson } from "../output.js";
import { numbers } from "../queue/view.js";
import { count, counted } from "../../core/counting.js";
import { shellWord } from "../../core/shell-word.js";
import { table } from "../table.js";
import { wrapped } from "../terminal.js";
import { iso, span } from "../times.js";
import { withDeadLetters } from "./open.js";

interface Flags extends StorageFlags {
  readonly days?: number;
  readonly sample?: number;
}

export function reviewCommand(): Command {
  const command = new Command("review")
    .summary("how dead letters are dealt with, and what to change")
    .description(
      "How dead letters came in and were dealt with lately, which rules are stale, and what to change in retry policies.",
    )
    .option("--days <N>", "how many days to look back, 7 unless given", wholeNumber("--days", 1, 90))
    .option(
      "--sample <N>",
      "the last tasks of each queue to look at, 1,000 unless given",
      wholeNumber("--sample", 1, 10_000),
    );
  return teaching(withStorage(command), ["holdfast dlq review", "holdfast dlq review --days 30 --json"]).action(
    async (flags: Flags) =>
      withDeadLetters(flags, async ({ letters }) => {
        const { days, sample } = flags;
        const review = await letters.review({ days, sample });
        if (flags.json === true) {
          const { fromMs, toMs, ...rest } = review;
          await printJson({ from: iso(fromMs), to: iso(toMs), ...rest });
        } else await print(...reviewLines(review));
      }),
  );
}

function reviewLines(review: Review): string[] {
  const { fromMs, toMs, queues, acknowledged, resolved, redrives, types, staleRules, advice, unknown } = review;
  const busy = queues.filter(({ dead, died, failed }) => dead + died + failed > 0);
  const lines = [ansis.bold(`${iso(fromMs)?.slice(0, 16)} to ${iso(toMs)?.slice(0, 16)} UTC`)];
  const section = (title: string, body: readonly string[]) => {
    if (body.length > 0) lines.push("", ansis.bold(title), ...body);
  };
  section(
    "Inflow",
    busy.length === 0
      ? ["No dead letters, and no failures."]
      : table(
          [
            { head: "QUEUE", cell: ({ queue }) => queue, min: 10 },
            numbers<(typeof busy)[number]>("DIED", ({ died }) => died),
            numbers<(typeof busy)[number]>("DEAD NOW", ({ dead }) => dead),
            numbers<(typeof busy)[number]>("ATTEMPTS", ({ processed }) => processed),
            numbers<(typeof busy)[number]>("FAILED", ({ failed }) => failed),
          ],
          busy,
        ),
  );
  const after = (ms: number | undefined) => (ms === undefined ? "" : `, half of them within ${span(Math.max(0, ms))}`);
  const tried = redrives.succeeded + redrives.failedAgain;
  const share = tried === 0 ? "" : ` (${Math.floor((redrives.succeeded * 100) / tried)} %)`;
  section("Dealt with", [
    `acknowledged  ${count(acknowledged.count)} of ${count(acknowledged.looked)} dead letters${after(acknowledged.medianMs)}`,
    `resolved      ${counted(resolved.count, "group")}${after(resolved.medianMs)}`,
    `redriven      ${counted(redrives.count, "redrive")}: ${count(redrives.succeeded)} succeeded${share}, ${count(redrives.failedAgain)} failed again`,
  ]);
  section("Success by attempt", types.length === 0 ? [] : typeLines(types.slice(0, 10)));
  section(
    "Stale rules",
    staleRules.flatMap(({ name, owner, why }) => wrapped(`${name} (${owner}): ${why}`, "  ", "    ")),
  );
  section(
    "What to change",
    advice.flatMap((text) => wrapped(text, "  ", "    ")),
  );
  section(
    "What is not known",
    unknown.flatMap((text) => wrapped(text, "  ", "    ")),
  );
  const [worst] = types;
  if (worst !== undefined && worst.dead > 0)
    section("Next", [
      `  ${ansis.cyan(`holdfast dlq search ${shellWord(printSearch(searchOf("type", worst.type)))} --newest`)}`,
    ]);
  return lines;
}

function typeLines(types: readonly TypeReview[]): string[] {
  const share = ({ byAttempt, completed }: TypeReview, attempts: number) => {
    if (completed === 0) return "?";
    const by = byAttempt.slice(0, attempts).reduce((sum, one) => sum + one, 0);
    return `${Math.floor((by * 100) / completed)} %`;
  };
  return table(
    [
      { head: "TYPE", cell: ({ type }) => type, min: 10 },
      numbers<TypeReview>("DEAD", ({ dead }) => dead),
      numbers<TypeReview>("SUCCEEDED", ({ completed }) => completed),
      { head: "BY 1ST", cell: (type) => share(type, 1), align: "right" },
      { head: "BY 3RD", cell: (type) => share(type, 3), align: "right" },
      { head: "MAX RETRY", cell: ({ maxRetry }) => count(maxRetry), align: "right" },
    ],
    types,
  );
}
