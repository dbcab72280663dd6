import { type Failure, maxMessageChars, maxStackChars } from "./outcome.js";
import { scrub } from "./scrub.js";

/**
 * A failure as it may be shown and exported: without secrets, also where a worker of an earlier release or of another program
 * stored them. What somebody said of an act of theirs stays as it is.
 */
export function shownFailure(failure: Failure): Failure {
  if (failure.actor !== undefined) return failure;
  const { message, stack, log } = failure;
  return {
    ...failure,
    class: scrub(failure.class, 128),
    message: scrub(message, maxMessageChars),
    ...(stack === undefined ? {} : { stack: scrub(stack, maxStackChars) }),
    ...(log === undefined ? {} : { log: log.map((line) => scrub(line, line.length)) }),
  };
}
