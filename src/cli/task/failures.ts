import ansis from "ansis";
import type { Failure } from "../../core/outcome.js";
import { printable } from "../../core/printable.js";
import { scrub } from "../../core/scrub.js";
import { shownFailure } from "../../core/shown-failure.js";
import type { TaskInfo } from "../../index.js";
import { columns, startOf, wrapped } from "../terminal.js";
import { dateAndDistance, span } from "../times.js";

/** Why a task failed, for people: the last failure in full, and the earlier ones a line each. */
export function failureLines(task: TaskInfo, nowMs: number): string[] {
  const { message, failure, history = [] } = task;
  return [
    ...(failure === undefined ? lastErrorLines(message?.lastError ?? "") : lastLines(shownFailure(failure), nowMs)),
    ...earlierLines(history.map(shownFailure), nowMs),
  ];
}

function lastErrorLines(error: string): string[] {
  return error === "" ? [] : ["", ansis.yellow("Failure"), ...indented(scrub(error, 8_192))];
}

function lastLines(failure: Failure, nowMs: number): string[] {
  const { reason, class: name, message, stack, log, logUrl } = failure;
  const title = [name, `[${reason}]`].filter((word) => word !== "").join(" ");
  const why = whyOf[reason];
  return [
    "",
    ansis.yellow(`Failure  ${printable(title)}`),
    ...(why === undefined ? [] : wrapped(why, "  ").map((line) => ansis.dim(line))),
    // Of what cannot be read nobody knows who wrote it.
    ...(failure.inferred === true && reason !== "decode_error"
      ? [ansis.dim("  inferred from what a Go program stored of it")]
      : []),
    ...wrapped(placeOf(failure, nowMs), "  ").map((line) => ansis.dim(line)),
    ...indented(stack ?? message),
    ...(log === undefined ? [] : ["", ansis.bold("Its last words"), ...log.flatMap(indented)]),
    ...(logUrl === undefined ? [] : [`  ${ansis.dim("log")}  ${printable(logUrl)}`]),
  ];
}

/** When and for how long, which attempt, where and by which build. */
function placeOf({ startedAtMs, durationMs, attempt, host, build, actor }: Failure, nowMs: number): string {
  const facts = [
    startedAtMs === 0 ? undefined : dateAndDistance(startedAtMs, nowMs),
    actor === undefined && durationMs > 0 ? `took ${span(durationMs)}` : undefined,
    attempt === undefined ? undefined : `attempt ${attempt}`,
    host === undefined ? undefined : `on ${host}`,
    build === undefined ? undefined : `build ${build}`,
  ];
  return facts.filter((fact) => fact !== undefined).join(", ");
}

function earlierLines(history: readonly Failure[], nowMs: number): string[] {
  if (history.length === 0) return [];
  const lines = history.toReversed().flatMap((failure) => {
    const { reason, class: name, message } = failure;
    const said = `${name === "" ? "" : `${name}: `}${message.split(/\r?\n/, 1)[0]!} [${reason}]`;
    return [`  ${ansis.dim(startOf(placeOf(failure, nowMs), columns() - 2))}`, ...wrapped(said, "    ").slice(0, 3)];
  });
  return ["", ansis.bold("Before that"), ...lines];
}

const indented = (text: string) => text.split(/\r?\n/).flatMap((line) => wrapped(line, "  "));

/** What a reason means, for those who meet it for the first time. */
const whyOf: { readonly [reason in Failure["reason"]]?: string } = {
  retries_exhausted: "it failed, and no retry is left",
  skip_retry: "its handler said that trying again is of no use",
  timeout: "it took longer than its timeout",
  deadline: "its deadline has passed",
  cancelled: "somebody cancelled it",
  lease_expired: "its worker died, or could not be reached, while it ran",
  no_handler: "no worker knew its type",
  decode_error: "what is stored of it cannot be read",
  schema_mismatch: "its payload does not fit the schema of its type",
  payload_too_large: "its payload is larger than allowed",
  quarantined: "it took several workers down, and does not run again by itself",
  manual: "somebody archived it",
  policy_discard: "its retry policy failed",
  restored: "it came back from the trash",
};
