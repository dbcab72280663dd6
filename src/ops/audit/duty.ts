import type { Logger } from "../../core/log.js";
import type { Duty } from "../duties.js";
import type { SealingKey } from "./keys.js";
import type { AuditHead } from "./record.js";
import { type AuditedBroker, sealStep } from "./seal.js";

export interface SealingOptions {
  /** As it was kept elsewhere. */
  readonly head?: AuditHead | undefined;
  /** Each new end of the chain, to be kept elsewhere. */
  readonly onHead?: ((head: AuditHead) => void) | undefined;
  /** Is told what is missing. */
  readonly log: Logger;
}

/** Seals what was done by hand, each second: for `Monitor`. */
export function sealingDuty(broker: AuditedBroker, key: SealingKey, { head, onHead, log }: SealingOptions): Duty {
  let known = head;
  return {
    name: "audit",
    everyMs: 1_000,
    async step() {
      const step = await sealStep(broker, key, known);
      for (const gap of step.gaps) log.error({ gap }, "acts are missing from the audit log");
      if (step.head !== undefined && step.head.n !== known?.n) onHead?.(step.head);
      known = step.head ?? known;
      return step.more;
    },
  };
}
