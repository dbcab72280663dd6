import type { ServerOptions } from "../../support/redis-server.js";
import type { Scene, StageKind } from "./scene.js";

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
  /** How long the fault lasts, ms. */
  readonly holdMs: number;
  readonly inject: (scene: Scene) => Promise<void> | void;
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
