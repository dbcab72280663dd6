import type { Adopted, SpoolOutcome, SpoolStats } from "../../broker/spool.js";
import type { Packed } from "../packed.js";
import type { Answer } from "../thread-link.js";
import type { SpoolPlan } from "./spool-options.js";

/** What the store asks its thread to do; all that wait are done in one transaction. */
export type SpoolCall =
  | { readonly verb: "append"; readonly ids: readonly string[]; readonly records: Packed; readonly nowMs: number }
  | { readonly verb: "read"; readonly after: number; readonly limit: number }
  | { readonly verb: "release"; readonly ended: readonly Ended[] }
  | { readonly verb: "outcomes"; readonly ids: readonly string[] }
  | { readonly verb: "stats" };

export interface Ended {
  readonly sequence: number;
  readonly outcome: SpoolOutcome;
}

export interface ReadReply {
  readonly tasks: readonly { readonly sequence: number; readonly id: string; readonly atMs: number }[];
  readonly records: Packed;
}

export type SpoolReply = number | ReadReply | undefined | readonly (SpoolOutcome | undefined)[] | SpoolStats;

export type ToSpoolThread =
  | { readonly to: "store"; readonly number: number; readonly call: SpoolCall }
  | { readonly to: "end" };

/** What people and programs are to hear of. */
export type SpoolNews =
  | { readonly news: "opened"; readonly sealed: boolean; readonly reservation: string | undefined }
  | ({ readonly news: "adopted"; readonly home: string; readonly parked: number } & Adopted)
  | {
      readonly news: "damaged";
      readonly problem: string;
      /** Undefined where nothing could be read, and nobody knows. */
      readonly lost: number | undefined;
      readonly kept: string;
    }
  | { readonly news: "old"; readonly oldestAtMs: number }
  | { readonly news: "trouble"; readonly problem: string };

export type SpoolNotice = { readonly from: "spool" } & SpoolNews;
export type FromSpoolThread = Answer<SpoolReply> | SpoolNotice;

export interface SpoolThreadData {
  readonly plan: SpoolPlan;
  /** Its numbers begin behind this one: those of a thread that died are not given twice. */
  readonly after: number;
}
