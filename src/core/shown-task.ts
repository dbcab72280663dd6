import type { TaskInfo } from "./info.js";
import { scrub } from "./scrub.js";
import { shownFailure } from "./shown-failure.js";

/** asynq bounds it nowhere. */
const maxLastErrorChars = 65_536;

/**
 * A task as it may be shown: texts of errors are without secrets, whoever wrote them. `bytes` stay what is stored, and
 * storage goes on counting by what it has.
 */
export function shownTask(task: TaskInfo): TaskInfo {
  const { message, failure, history } = task;
  return {
    ...task,
    ...(message === undefined || message.lastError === ""
      ? {}
      : { message: { ...message, lastError: scrub(message.lastError, maxLastErrorChars) } }),
    ...(failure === undefined ? {} : { failure: shownFailure(failure) }),
    ...(history === undefined ? {} : { history: history.map(shownFailure) }),
  };
}

export function shownTasks<P extends { readonly items: readonly TaskInfo[] }>(page: P): P {
  return { ...page, items: page.items.map(shownTask) };
}
