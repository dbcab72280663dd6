import type { MoveTarget } from "../broker/roles.js";
import { invalidOption, shown } from "../core/errors.js";
import type { Selection } from "../core/info.js";
import { storedName } from "../core/names.js";
import { type TaskState, taskStates } from "../core/state.js";

export type IdSelection = Extract<Selection, { readonly ids: readonly string[] }>;
export type StateSelection = Exclude<Selection, IdSelection>;

const maxIds = 10_000;
const fields = ["queue", "ids", "state", "type", "group"];

/** A selection that can be relied on, without fields that are undefined. @throws OPTION_INVALID */
export function checkedSelection(value: unknown, verb: string): Selection {
  const option = `${verb}.selection`;
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalidOption(option, `must be { queue, ids } or { queue, state, type?, group? }, got ${shown(value)}`);
  const stranger = Object.keys(value).find((name) => !fields.includes(name));
  if (stranger !== undefined)
    throw invalidOption(
      `${option}.${stranger.slice(0, 64)}`,
      `is no field of a selection; there are ${fields.join(", ")}`,
    );
  const { queue, ids, state, type, group } = value as Record<string, unknown>;
  const name = storedName(queue, `${option}.queue`);
  if (ids === undefined) return ofState(name, state, type, group, option);
  for (const [field, other] of Object.entries({ state, type, group })) {
    if (other !== undefined) throw invalidOption(`${option}.${field}`, "cannot be given together with ids");
  }
  return { queue: name, ids: checkedIds(ids, `${option}.ids`) };
}

function ofState(queue: string, state: unknown, type: unknown, group: unknown, option: string): StateSelection {
  if (!taskStates.includes(state as TaskState))
    throw invalidOption(`${option}.state`, `must be one of ${taskStates.join(", ")}, got ${shown(state)}`);
  if (group !== undefined && state !== "aggregating")
    throw invalidOption(`${option}.group`, "is for the state aggregating alone");
  return {
    queue,
    state: state as TaskState,
    ...(type === undefined ? {} : { type: storedName(type, `${option}.type`) }),
    ...(group === undefined ? {} : { group: storedName(group, `${option}.group`) }),
  };
}

/** @throws OPTION_INVALID */
function checkedIds(value: unknown, option: string): readonly string[] {
  if (!Array.isArray(value) || value.length > maxIds)
    throw invalidOption(
      option,
      `must be a list of at most ${maxIds} ids, got ${Array.isArray(value) ? `${value.length} of them` : shown(value)}`,
    );
  return value.map((id, n) => storedName(id, `${option}[${n}]`));
}

/** Of a state, moves that cannot be are refused before anything is sent; of ids, each has its receipt. */
export function requireMovable(selection: StateSelection, to: MoveTarget, verb: string): void {
  const movable = taskStates.filter((state) => state !== "active" && state !== to);
  if (movable.includes(selection.state)) return;
  const hint = selection.state === "active" ? ": cancel what is active" : "";
  throw invalidOption(
    `${verb}.selection.state`,
    `must be one of ${movable.join(", ")}, got ${shown(selection.state)}${hint}`,
  );
}
