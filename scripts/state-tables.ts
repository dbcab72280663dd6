import { moves } from "../src/core/state.js";
import { table } from "./markdown-table.js";

const nodeOf = (place: string) => (place === "new" || place === "gone" ? "[*]" : place);

/** A Mermaid diagram of all moves; those between the same two places share an arrow. */
export function stateDiagram(): string {
  const labels = new Map<string, string[]>();
  for (const { from, to, by } of moves) {
    const arrow = `${nodeOf(from)} --> ${nodeOf(to)}`;
    labels.set(arrow, [...(labels.get(arrow) ?? []), by.split(":")[0]!]);
  }
  const lines = [...labels].map(([arrow, by]) => `  ${arrow}: ${[...new Set(by)].join(", ")}`);
  return ["```mermaid", "stateDiagram-v2", ...lines, "```"].join("\n");
}

export function stateTable(): string {
  return table(
    ["From", "To", "By"],
    moves.map(({ from, to, by }) => [`\`${from}\``, `\`${to}\``, by]),
  );
}
