import type { Target } from "./fuzz.js";
import { protocol } from "./protocol.js";
import { taskMessage } from "./task-message.js";
import { serverTargets } from "./servers.js";
import { textTargets } from "./texts.js";
import { verbTargets } from "./verbs.js";
import { recordTargets } from "./worker-records.js";

/** Everything that reads what others wrote. */
// oxlint-disable-next-line typescript/no-explicit-any -- each has its own kind of input
export const targets: readonly Target<any>[] = [
  taskMessage,
  ...recordTargets,
  ...textTargets,
  ...serverTargets,
  protocol,
  ...verbTargets,
];
