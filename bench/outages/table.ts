import type { Experiment } from "./experiment.js";

/** What one contender did in one experiment. */
export interface Outcome {
  readonly experiment: string;
  readonly contender: string;
  readonly version: string;
  /** What the library said aside. */
  readonly told: readonly string[];
  readonly result?: unknown;
  /** Why it could not be played to its end. */
  readonly failed?: string;
}

/** The table in Markdown, and each target that Holdfast has missed. */
export function table(
  contenders: readonly string[],
  experiments: readonly Experiment<unknown>[],
  outcomes: readonly Outcome[],
): { markdown: string; missed: string[] } {
  const of = (contender: string, name?: string) =>
    outcomes.find((one) => one.contender === contender && (name === undefined || one.experiment === name));
  const missed: string[] = [];
  const lines = experiments.flatMap(({ name, rows }) =>
    rows.map((row) => {
      const cells = contenders.map((contender) => {
        const outcome = of(contender, name);
        const cell = outcome?.failed ?? row.cell(outcome!.result);
        if (!contender.startsWith("holdfast")) return cell;
        const holds = outcome?.failed === undefined && row.holds(outcome!.result);
        if (!holds) missed.push(`${contender}, ${name}: ${row.target}; was: ${cell}`);
        return holds ? cell : `**missed:** ${cell}`;
      });
      return `| ${row.says} | ${cells.join(" | ")} | ${row.target} |`;
    }),
  );
  const heads = contenders.map((contender) => `${contender} ${of(contender)?.version}`);
  return {
    markdown: [`| | ${heads.join(" | ")} | Target |`, `| --- |${" --- |".repeat(heads.length + 1)}`, ...lines, ""].join(
      "\n",
    ),
    missed,
  };
}
