import type { Lease } from "./lease.js";

/**
 * Effects that a handler wants to have once, each with a key of its own within its task. What is known of them lives as
 * long as the task: through retries, crashes and the archive, until it is deleted.
 */
export interface Remembering {
  /** One answer a step, in order. A step may be repeated: it gets the same answer, and changes nothing more. */
  remember(steps: readonly EffectStep[]): Promise<EffectAnswer[]>;
}

export interface EffectStep {
  readonly lease: Lease;
  readonly key: string;
  readonly act:
    /** Before the effect: only for who holds the lease. */
    | { readonly kind: "begin" }
    /** After it, whoever holds the lease by now: it has happened. `result` is JSON, or "" for none; the first one stays. */
    | { readonly kind: "done"; readonly result: string }
    /** It has not happened: as if this lease had not begun it. Changes nothing once that lease is lost. */
    | { readonly kind: "undone" };
}

export type EffectAnswer =
  /** By this lease: it is its part to carry it out. */
  | { readonly status: "begun" }
  | { readonly status: "done"; readonly result: string }
  /** By an earlier lease, which has not told how it ended. */
  | { readonly status: "interrupted" }
  /** Nothing is known of it: it has not begun, or the task is gone. */
  | { readonly status: "open" }
  /** Not begun: somebody else may be running the task. */
  | { readonly status: "leaseLost" };
