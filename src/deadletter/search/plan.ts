import type { TaskRef } from "../../broker/broker.js";
import type { QueueInfo } from "../../core/info.js";
import { type TaskState, taskStates } from "../../core/state.js";
import type { FieldName } from "./fields.js";
import type { FieldTerm, SearchQuery } from "./query.js";
import { textTest } from "./match.js";

/** A list of tasks that has to be looked through. */
export interface Place {
  readonly queue: string;
  readonly state: TaskState;
  readonly tasks: number;
}

/** Where the tasks of a search can be at all: what is known of them beforehand leaves out the rest. */
export interface Plan {
  readonly states: readonly TaskState[];
  /** Where the search names ids: these tasks alone. */
  readonly refs: readonly TaskRef[] | undefined;
  /** In the order in which they are looked through. */
  readonly places: readonly Place[];
}

export function planOf(query: SearchQuery, queues: readonly QueueInfo[]): Plan {
  const states = statesOf(query);
  const there = queues.filter(({ name }) => passes(query, "queue", name));
  const places = there.flatMap(({ name, counts }) =>
    states.flatMap((state) => (counts[state] > 0 ? [{ queue: name, state, tasks: counts[state] }] : [])),
  );
  const ids = namedIn(query, "id");
  return { states, places, refs: ids && there.flatMap(({ name }) => ids.map((id) => ({ queue: name, id }))) };
}

/** Those that the search asks for; dead letters where it does not say. */
export function statesOf(query: SearchQuery): TaskState[] {
  if (termsOf(query, "state").length === 0) return ["archived"];
  return taskStates.filter((state) => passes(query, "state", state));
}

export const termsOf = ({ terms }: SearchQuery, field: FieldName) =>
  terms.filter((term): term is FieldTerm => term.kind === "field" && term.field === field);

export function passes(query: SearchQuery, field: "queue" | "state" | "fp", text: string): boolean {
  return termsOf(query, field).every(
    ({ op, values, negated }) => values.some((value) => textTest(field, op, value)(text)) !== negated,
  );
}

/** The ids, or the queues, outside of which it finds nothing; undefined where the search names none, or not in full. */
export function namedIn(query: SearchQuery, field: "id" | "queue"): readonly string[] | undefined {
  const term = termsOf(query, field).find(
    ({ op, negated, values }) =>
      op === ":" && !negated && values.every(({ text, quoted }) => text !== "" && (quoted || !text.includes("*"))),
  );
  return term && [...new Set(term.values.map(({ text }) => text))];
}
