import type { Run } from "./run.js";

/** What may explain whatever went wrong. */
const always = /fault|incarnation|process|power cut|failover|VIOLATION|all is well|rest/;
const mostLines = 60;

/** For people: what is wrong, how to see it again, and as much of what happened as has to do with it. */
export function told(run: Run): string {
  const { seed, violations } = run;
  const whats = violations.slice(0, 5).map(({ invariant, what }) => `  ${invariant}: ${what}`);
  const more = violations.length > 5 ? [`  … and ${violations.length - 5} more`] : [];
  const lines = [`seed ${seed} (again: npm run simulate -- --seed ${seed} --trace)`, ...whats, ...more];
  return [...lines, ...excerpt(run)].join("\n");
}

/** What concerns the call, or the process, of the first of them. */
function excerpt({ violations, trace }: Run): string[] {
  const all = trace();
  const [call] = /\bp\d+\.\d+-\d+\b/.exec(violations[0]?.what ?? "") ?? [];
  const accepted = call === undefined ? undefined : all.find((line) => line.includes(` accepted ${call} `));
  const id = accepted && /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}/.exec(accepted)?.[0];
  const names = [call, id].filter((name) => name !== undefined);
  const concerns = (line: string) => always.test(line) || names.some((name) => line.split(" ").includes(name));
  const lines = all.filter(concerns);
  return lines.length <= mostLines ? lines : [...lines.slice(0, mostLines / 2), "…", ...lines.slice(-mostLines / 2)];
}
