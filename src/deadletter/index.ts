/** Dead letters, operated; apart, for what only runs tasks needs nothing of it. */
export { DeadLetters, type DeadLettersBroker, type DeadLettersOptions } from "./dead-letters.js";
