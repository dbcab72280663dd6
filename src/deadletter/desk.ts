import type { AuditStore } from "../broker/audit.js";
import type { Broker } from "../broker/broker.js";
import type { DeadLetterStore } from "../broker/dead-letters.js";
import type { DocumentKind, StoredDocument } from "../broker/documents.js";
import type { Act } from "../broker/roles.js";
import { HoldfastError } from "../core/errors.js";
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

/** Storage cannot do what is asked. */
export const failed = ({ broker }: Pick<Desk, "broker">, problem: string): HoldfastError<"BROKER_FAILED"> =>
  new HoldfastError("BROKER_FAILED", { broker: broker.label, problem });

/** Deletes those that have not changed since they were read. */
export async function forgetDocuments(
  { store, nowMs }: Desk,
  kind: DocumentKind,
  read: readonly Pick<StoredDocument, "id" | "version">[],
): Promise<void> {
  const writes = read.map(({ id, version }) => ({ id, value: undefined, ifVersion: version }));
  if (writes.length > 0) await store.writeDocuments(kind, writes, nowMs());
}
