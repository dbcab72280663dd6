import type { Scene, StageKind } from "./scene.js";

/** One row of the table of faults. */
export interface Row {
  readonly row: number;
  readonly name: string;
  /** Default: one server. */
  readonly stage?: StageKind;
  /** Settings of that server. */
  readonly config?: Readonly<Record<string, string>>;
  /** Environment of its process; files belong into that folder. */
  readonly env?: (folder: string) => Readonly<Record<string, string>>;
  /** Why this machine cannot run it. */
  readonly lacks?: () => string | undefined;
  /** How long the fault lasts, ms. */
  readonly holdMs: number;
  readonly inject: (scene: Scene) => Promise<void> | void;
  readonly heal?: (scene: Scene) => Promise<void> | void;
  /** Calls are accepted and tasks started again so soon after it was healed, ms. Default: 5,000. */
  readonly recoverMs?: number;
  /** Without a spool accepted tasks may be lost, and why. */
  readonly loses?: string;
  /** They are lost each time: that nothing is found would speak against the checker. */
  readonly alwaysLoses?: true;
}
