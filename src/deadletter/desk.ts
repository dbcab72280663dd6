import type { AuditStore } from "../broker/audit.js";
import type { Broker } from "../broker/broker.js";
import type { DeadLetterStore } from "../broker/dead-letters.js";
import type { Act } from "../broker/roles.js";
import type { InspectorBroker } from "../inspector/inspector.js";
import type { ByOptions } from "../inspector/options.js";

/** What the parts work with. */
export interface Desk {
  readonly broker: InspectorBroker & Pick<Broker, "enqueue" | "prune">;
  readonly store: DeadLetterStore;
  readonly audit: AuditStore;
  /** By the broker's clock, Unix ms. */
  readonly nowMs: () => number;
  /** Who does it, why, and under which request. @throws OPTION_INVALID naming the verb's option */
  readonly act: (by: ByOptions | undefined, verb: string) => Act;
}
