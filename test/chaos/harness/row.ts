import type { ServerOptions } from "../../support/redis-server.js";
import type { Event } from "../../history/events.js";
import type { Scene, StageKind } from "./scene.js";

/** When a fault came and went, and how long it took until all was well again; ms on the clock of events. */
export interface Span {
  readonly fromMs: number;
  readonly healedMs: number;
  /** Until a call that began after the healing was accepted, and until a task was started; the later of the two. */
  readonly recoveryMs: number;
}

/** Of an episode's events, by time, what is wrong, in words. What comes after `untilMs` may be the next fault's. */
export type Holds = (events: readonly Event[], span: Span & { readonly untilMs: number }) => readonly string[];

/** One row of the table of faults. */
export interface Row {
  readonly row: number;
  readonly name: string;
  /** Default: one server. */
  readonly stage?: StageKind;
  /** That server's settings; its files belong into that folder. */
  readonly server?: (folder: string) => Pick<ServerOptions, "config" | "env">;
  /** What producers find in their environment, from the first one on. */
  readonly producers?: (folder: string) => Readonly<Record<string, string>>;
  /** It makes sense with a spool alone: with these options. */
  readonly spool?: object;
  /** Why this machine cannot run it. */
  readonly lacks?: () => string | undefined;
  /** What must hold of this row besides what holds of all. */
  readonly holds?: Holds;
  /** How long the fault lasts, ms. */
  readonly holdMs: number;
  readonly inject: (scene: Scene) => Promise<void> | void;
  /** Which event workers must tell before it is healed, within a minute. */
  readonly alarm?: string;
  readonly heal?: (scene: Scene) => Promise<void> | void;
  /** When its episode is over. */
  readonly ends?: (scene: Scene) => void;
  /** Calls are accepted and tasks started again so soon after it was healed, ms. Default: 7,000. */
  readonly recoverMs?: number;
  /** Without a spool accepted tasks may be lost, and why. */
  readonly loses?: string;
  /** They are lost each time: that nothing is found would speak against the checker. */
  readonly alwaysLoses?: true;
}
