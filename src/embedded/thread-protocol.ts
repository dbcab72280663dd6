import type { HeldLease, Lease } from "../broker/broker.js";
import type { Signal } from "../broker/roles.js";
import type { Call, Reply, Verb } from "./embedded-store.js";
import type { CancelledLease } from "./renew.js";
import type { SentError } from "./sent-error.js";
import type { Answer } from "./thread-link.js";

/** What a broker says to the thread of its store … */
export type ToThread = ToStore | ToKeeper | ToLookout | { readonly to: "end" };
export type ToStore = { readonly to: "store"; readonly number: number } & Call;
export type ToKeeper = { readonly to: "keeper"; readonly keeper: number } & (
  | { readonly act: "open"; readonly leaseMs: number }
  | { readonly act: "hold"; readonly leases: readonly HeldLease[] }
  | { readonly act: "drop"; readonly leases: readonly Lease[] }
  | { readonly act: "close" }
);
export type ToLookout = { readonly to: "lookout"; readonly subscriber: number } & (
  | { readonly act: "subscribe"; readonly queues: readonly string[] }
  | { readonly act: "watch"; readonly on: boolean }
  | { readonly act: "unsubscribe" }
);

/** … and what the thread says to it. */
export type FromThread = Answer<Reply<Verb>> | ThreadNotice;
export type ThreadNotice =
  | { readonly from: "keeper"; readonly keeper: number; readonly lost: readonly Lease[] }
  | { readonly from: "keeper"; readonly keeper: number; readonly cancelled: readonly CancelledLease[] }
  | { readonly from: "keeper"; readonly keeper: number; readonly error: SentError }
  | { readonly from: "lookout"; readonly subscriber: number; readonly signal: Signal };

export interface ThreadData {
  readonly location: string;
  readonly label: string;
}
