import { maxOutcomeKinds, type OutcomeCount, otherType } from "../../broker/outcome-counts.js";
import type { Sql } from "../sql.js";

export interface CountOutcomesCall {
  readonly counts: readonly OutcomeCount[];
}

export function countOutcomes(sql: Sql, { counts }: CountOutcomesCall): void {
  const kinds = sql("SELECT count(*) AS kinds FROM outcome_count WHERE queue = ?");
  const known = sql("SELECT 1 FROM outcome_count WHERE queue = ? AND type = ? AND outcome = ? AND reason = ?");
  const add = sql(
    "INSERT INTO outcome_count (queue, type, outcome, reason, count) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
  );
  for (const { queue, type, outcome, reason, count } of counts) {
    const room = (kinds.get(queue) as { kinds: number }).kinds < maxOutcomeKinds;
    const kept = room || known.get(queue, type, outcome, reason) !== undefined;
    add.run(queue, kept ? type : otherType, outcome, reason, count);
  }
}

export function outcomeCounts(sql: Sql, { queues }: { readonly queues: readonly string[] }): OutcomeCount[] {
  return sql(
    "SELECT queue, type, outcome, reason, count FROM outcome_count WHERE queue IN (SELECT value FROM json_each(?))",
  ).all(JSON.stringify(queues)) as OutcomeCount[];
}
