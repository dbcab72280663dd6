import { type Broker, type Maintaining, minLeaseMs, type Working } from "../broker/broker.js";
import type { Remembering } from "../broker/effects.js";
import type { Signalling } from "../broker/roles.js";
import { consoleLogger, type Logger } from "../core/log.js";
import { maxNameChars } from "../core/outcome.js";
import { type QueueOption, weightedQueues } from "../core/queues.js";
import { scrubRules, type Scrubber, type ScrubRule } from "../core/scrub.js";
import { type Given, type Resolved, resolve, setting, textSetting } from "../core/settings.js";
import { logLink, logLinkSays } from "./log-link.js";

export const workerSettings = {
  concurrency: setting.integer({ default: 10, min: 1, max: 10_000, says: "handlers running at once in this process" }),
  queues: setting.record<QueueOption, ReturnType<typeof weightedQueues>>({
    default: { default: 1 },
    allowed: "an object { name: weight } or { name: { weight, concurrency } }, weights 1 … 1000",
    says: "the queues to work on, how often each is looked at first, and at most how many of its tasks run at once here",
    parse: weightedQueues,
  }),
  strictPriority: setting.flag({
    default: false,
    says: "look at queues strictly by weight: a lower one only when the higher are empty",
  }),
  pollInterval: setting.duration({
    default: "1s",
    min: "10ms",
    says: "pause between looks while every queue is empty; five times as long where storage tells of new tasks",
  }),
  leaseDuration: setting.duration({
    default: "30s",
    min: `${minLeaseMs / 1_000}s`,
    max: "1h",
    says: "how long a crashed worker's task stays unseen; renewed every third of it",
  }),
  shutdownTimeout: setting.duration({
    default: "8s",
    says: "how long stop() waits for handlers before it aborts them",
  }),
  abortGrace: setting.duration({
    default: "5s",
    says: "how long a handler whose signal was aborted may still run before it is abandoned",
  }),
  stuckAfter: setting.duration({
    default: "30s",
    min: "1s",
    says: "a call to storage that neither ended nor failed for so long, or a worker that has not looked for tasks, counts as stuck and is begun anew; longer than the broker's timeout",
  }),
  keepStacks: setting.flag({ default: false, says: "store the stack of a failure with the task" }),
  build: textSetting(
    maxNameChars,
    "what this worker was built from, such as a version or a commit: stored with its failures",
  ),
  logLink: setting.text({ default: undefined, allowed: "a URL", says: logLinkSays, parse: logLink }),
};

/** What a worker needs of a broker. */
export type WorkerBroker = Working &
  Remembering &
  Maintaining &
  Signalling &
  Pick<Broker, "ping" | "queues" | "deadLetters">;

export interface WorkerOptions extends Given<typeof workerSettings> {
  /** Where the worker tells people what happened. Default: warnings and errors on stderr. */
  readonly log?: Logger;
  /**
   * What else is to go from the texts of failures before they are stored, besides passwords, tokens, keys, card numbers and
   * e-mail addresses, which always do. A rule that throws withholds the text.
   */
  readonly scrub?: readonly ScrubRule[];
}

export type ResolvedWorkerOptions = Resolved<typeof workerSettings> & {
  readonly log: Logger;
  readonly scrub: Scrubber;
};

/** @throws OPTION_INVALID */
export function resolveWorkerOptions(options: WorkerOptions = {}): ResolvedWorkerOptions {
  const { log = consoleLogger, scrub = [], ...settings } = options;
  return Object.freeze({
    ...resolve(workerSettings, settings, "Worker"),
    log,
    scrub: scrubRules(scrub, "Worker.scrub"),
  });
}
