import type { Trouble, Watch } from "./watch.js";

/** Where a worker is in its life. */
export type Phase = "new" | "starting" | "running" | "stopping" | "stopped";

export interface WorkerHealth {
  /**
   * While it should work: `running`; `storage-down`, storage cannot be reached or used, and the worker goes on by itself when
   * it can; or `stuck`, storage is there and the worker does not get on, which a restart of the process may mend.
   */
  readonly state: Phase | "storage-down" | "stuck";
  /** Since when, Unix ms. */
  readonly sinceMs: number;
  /** What is wrong, in words without passwords and payloads. */
  readonly problem: string | undefined;
  /** When storage last answered a turn (settling, leasing), Unix ms; undefined: not yet. */
  readonly lastTurnAtMs: number | undefined;
  /** Handlers running now. */
  readonly running: number;
  /** When the one that has run longest began, Unix ms. */
  readonly oldestStartedAtMs: number | undefined;
  /** Tasks leased ahead, that wait for a slot. */
  readonly waiting: number;
  /** Tasks that have ended, and of which storage does not know yet. */
  readonly unsettled: number;
}

export interface Vitals extends Omit<WorkerHealth, "state" | "problem"> {
  readonly phase: Phase;
  /** Why it can never go on; undefined: it can. */
  readonly ended: Trouble | undefined;
}

export function healthOf({ phase, sinceMs, ended, ...vitals }: Vitals, watch: Watch): WorkerHealth {
  const { away, stuck, wellSinceMs } = watch;
  const inTrouble = (state: WorkerHealth["state"], trouble: Trouble): WorkerHealth => ({
    state,
    ...trouble,
    ...vitals,
  });
  if (phase !== "running") return { state: phase, sinceMs, problem: away?.problem, ...vitals };
  // Storage that was away when the broker was closed is not what it waits for.
  if (ended !== undefined) return inTrouble("stuck", ended);
  // Nobody gets on without storage: it goes before.
  if (away !== undefined) return inTrouble("storage-down", away);
  if (stuck !== undefined) return inTrouble("stuck", stuck);
  return { state: "running", sinceMs: Math.max(sinceMs, wellSinceMs), problem: undefined, ...vitals };
}
