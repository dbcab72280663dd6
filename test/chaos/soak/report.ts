import type { Mode } from "./modes.js";
import type { Soak } from "./run.js";

export interface SoakReport extends Omit<Soak, "faults"> {
  readonly mode: Pick<Mode, "name" | "says">;
  readonly seed: number;
  readonly startedAt: string;
  readonly node: string;
  readonly redis: string;
  readonly faults: number;
}

const number = (count: number) => count.toLocaleString("en-US");
const listed = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .map(([name, count]) => `${number(count)} ${name}`)
    .join(", ") || "0";

/** Where producers were held back to the end nothing was called any more: null, once it was JSON. */
const time = (ms: number | null) => (ms === null || !Number.isFinite(ms) ? "–" : `${ms}`);

/** Markdown. */
export function reportText({ mode, seed, startedAt, node, redis, seconds, faults, verdict }: SoakReport): string {
  const { counts, duplicates, broken, cases, perFault, memory } = verdict;
  const rows = perFault.map(
    (one) =>
      `| ${one.name} | ${one.times} | ${number(one.calls)} | ${number(one.refused)} | ${number(one.unknown)} | ${number(one.lost)} | ${listed(one.duplicates)} | ${time(one.recoveryMs.p50)} / ${time(one.recoveryMs.p95)} |`,
  );
  const most = Object.entries(memory).map(([kind, bytes]) => `${kind} ${Math.round(bytes / 2 ** 20)} MB`);
  return `### ${mode.name}: ${mode.says}

${startedAt.slice(0, 16).replace("T", " ")} UTC, seed ${seed}, Node ${node}, Redis ${redis}: ${faults} faults in ${number(seconds)} s.
${number(counts.invoked)} calls; ${number(counts.accepted)} accepted (${number(counts.spooled)} of them into the spool), ${number(counts.rejected)} refused, ${number(counts.unknown)} of unknown outcome
(${number(counts.recovered)} of those were there after all). ${number(counts.runs)} runs. **Lost: ${number(counts.lost)}.** Run twice: ${listed(duplicates)}.
Broken invariants: ${listed(broken)}. Most memory: ${most.join(", ")}.

| Fault | Times | Calls | Refused | Unknown | Lost | Run twice, and why | Recovery p50 / p95, ms |
| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: |
${rows.join("\n")}
${cases.map(({ invariant, what, evidence }) => `\n- ${invariant}: ${what} \`${JSON.stringify(evidence).slice(0, 800)}\``).join("")}
`;
}

const share = (part: number, whole: number) =>
  `${number(part)} (${whole === 0 ? 0 : ((part / whole) * 100).toFixed(2)} %)`;

/** The modes side by side, each with its own table below. Markdown. */
export function comparisonText(reports: readonly SoakReport[]): string {
  const row = (what: string, of: (report: SoakReport) => string) => `| ${what} | ${reports.map(of).join(" | ")} |`;
  const again = ({ verdict }: SoakReport) => Object.values(verdict.duplicates).reduce((sum, one) => sum + one, 0);
  return `| | ${reports.map(({ mode }) => mode.name).join(" | ")} |
| --- |${" ---: |".repeat(reports.length)}
${[
  row("calls", ({ verdict }) => number(verdict.counts.invoked)),
  row("faults", ({ faults }) => number(faults)),
  row("seconds", ({ seconds }) => number(seconds)),
  row("refused, and the caller told", ({ verdict: { counts } }) => share(counts.rejected, counts.invoked)),
  row("outcome unknown to the caller", ({ verdict: { counts } }) => share(counts.unknown, counts.invoked)),
  row("accepted", ({ verdict: { counts } }) => share(counts.accepted, counts.invoked)),
  row("**lost: accepted, and nowhere**", ({ verdict }) => `**${number(verdict.counts.lost)}**`),
  row("run again, with a cause", (report) => share(again(report), report.verdict.counts.runs)),
  row("run again, without one", ({ verdict }) => number(verdict.broken["duplicate"] ?? 0)),
].join("\n")}

${reports.map(reportText).join("\n")}`;
}
