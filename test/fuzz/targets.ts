import type { Target } from "./fuzz.js";
import { taskMessage } from "./task-message.js";
import { textTargets } from "./texts.js";

/** Everything that reads what others wrote. */
// oxlint-disable-next-line typescript/no-explicit-any -- each has its own kind of input
export const targets: readonly Target<any>[] = [taskMessage, ...textTargets];
