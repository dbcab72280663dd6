import type { EffectAnswer, EffectStep } from "../broker/effects.js";
import type { Sql } from "./sql.js";

export interface RememberCall {
  readonly steps: readonly EffectStep[];
}

interface Row {
  readonly token: string | null;
  readonly effects: string | null;
}

export function remember(sql: Sql, { steps }: RememberCall): EffectAnswer[] {
  return steps.map((step) => {
    const place = [step.lease.queue, step.lease.id] as const;
    const row = sql("SELECT token, effects FROM task WHERE queue = ? AND id = ?").get(...place) as Row | undefined;
    const effects = new Map<string, string>(JSON.parse(row?.effects ?? "[]"));
    const { answer, stored } = next(effects.get(step.key), step, row?.token);
    if (stored === effects.get(step.key)) return answer;
    if (stored === undefined) effects.delete(step.key);
    else effects.set(step.key, stored);
    sql("UPDATE task SET effects = ? WHERE queue = ? AND id = ?").run(JSON.stringify([...effects]), ...place);
    return answer;
  });
}

/** What is stored of an effect is "b" and the token of the lease that began it, or "d" and what came of it. */
function next(
  stored: string | undefined,
  { act, lease: { token } }: EffectStep,
  holder: string | null | undefined,
): { readonly answer: EffectAnswer; readonly stored: string | undefined } {
  if (stored?.startsWith("d") === true) return { answer: { status: "done", result: stored.slice(1) }, stored };
  const mine = stored === `b${token}`;
  const holds = holder === token;
  if (act.kind === "done" && (stored !== undefined || holds))
    return { answer: { status: "done", result: act.result }, stored: `d${act.result}` };
  if (act.kind === "undone" && mine && holds) return { answer: { status: "open" }, stored: undefined };
  if (act.kind === "begin" && !holds) return { answer: { status: "leaseLost" }, stored };
  if (act.kind === "begin" && stored === undefined) return { answer: { status: "begun" }, stored: `b${token}` };
  if (stored === undefined) return { answer: { status: "open" }, stored };
  return { answer: { status: mine ? "begun" : "interrupted" }, stored };
}
