import type { Producing } from "../broker/broker.js";
import { invalidOption } from "../core/errors.js";
import { type Given, type Resolved, resolveGiven, setting } from "../core/settings.js";

/** What a client does about its tasks' safety and about an outage; for all its enqueues, and for one. */
export const policySettings = {
  timeout: setting.duration({
    default: "5s",
    min: "10ms",
    max: "50s",
    says: "how long an enqueue may take in all, tries again and waiting for storage included, before it fails with BROKER_UNAVAILABLE",
  }),
  accept: setting.choice({
    of: ["redis", "replicas", "fsync", "spool"],
    default: "redis",
    says: "when a task is accepted: storage has answered; all replicas have it; it is fsynced there; it is fsynced on this machine, whatever storage does",
  }),
  replicas: setting.integer({
    default: undefined,
    max: 100,
    says: 'with accept "replicas" or "fsync": how many replicas must have it at least, also when the master sees fewer; 1 unless given, and none with "fsync"',
  }),
  whenDown: setting.choice({
    of: ["fail", "spool"],
    default: undefined,
    says: 'while storage is away: wait for it until the timeout and fail, or accept into the spool at once; "spool" where the broker has one, unless given',
  }),
};
export type EnqueueOptions = Given<typeof policySettings>;

export interface Policy extends Pick<Resolved<typeof policySettings>, "timeoutMs" | "accept" | "replicas"> {
  readonly whenDown: "fail" | "spool";
  /** Policies with the same key are the same. */
  readonly key: string;
}

/** @throws OPTION_INVALID for what this broker cannot do */
export function policyOf(settled: Resolved<typeof policySettings>, broker: Producing, owner: string): Policy {
  const { timeoutMs, accept, replicas } = settled;
  const whenDown = settled.whenDown ?? (broker.spool === undefined ? "fail" : "spool");
  const needsSpool = accept === "spool" ? "accept" : whenDown === "spool" ? "whenDown" : undefined;
  if (needsSpool !== undefined && broker.spool === undefined) {
    throw invalidOption(`${owner}.${needsSpool}`, 'is "spool", and the broker has none: connect(url, { spool })');
  }
  if ((accept === "replicas" || accept === "fsync") && broker.enqueueAssured === undefined) {
    throw invalidOption(
      `${owner}.accept`,
      `is ${JSON.stringify(accept)}, which is Redis's to confirm; a file is fsynced before it answers anyway`,
    );
  }
  return { timeoutMs, accept, replicas, whenDown, key: `${timeoutMs} ${accept} ${replicas} ${whenDown}` };
}

/** That of a client, with what one call gives in place of it. @throws OPTION_INVALID */
export function policyWith(
  client: Resolved<typeof policySettings>,
  given: EnqueueOptions,
  broker: Producing,
  owner: string,
): Policy {
  return policyOf({ ...client, ...resolveGiven(policySettings, given, owner) }, broker, owner);
}
