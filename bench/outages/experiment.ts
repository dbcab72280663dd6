import type { Answer } from "./host.js";
import type { Scene } from "./scene.js";

/** One kind of outage, and what is to be seen of it. */
export interface Experiment<Result> {
  readonly name: string;
  /** Redis keeps all it has confirmed (AOF, fsync always), or nothing. */
  readonly durable: boolean;
  /** The longest it can take, in seconds, its processes' start included. */
  readonly boundS: number;
  run(scene: Scene): Promise<Result>;
  readonly rows: readonly Row<Result>[];
}

/** A line of the table. */
export interface Row<Result> {
  readonly says: string;
  cell(result: Result): string;
  /** What Holdfast is to reach, with and without a spool. */
  readonly target: string;
  holds(result: Result): boolean;
}

/** For lists: its rows are only ever given its own results. */
export function experiment<Result>(one: Experiment<Result>): Experiment<unknown> {
  return one as Experiment<unknown>;
}

export const seconds = (ms: number) => `${(ms / 1_000).toFixed(ms < 995 ? 2 : 1)} s`;

/** Undefined: not within `boundS`. */
export const orNever = (ms: number | undefined, boundS: number) => (ms === undefined ? `> ${boundS} s` : seconds(ms));

export function answered(answer: Answer | undefined, boundS: number): string {
  if (answer === undefined) return `no answer in ${boundS} s`;
  const [word] = answer.word.split(" ");
  const refused = saysUnknown(answer) ? "outcome unknown" : "refused";
  return `${answer.ok ? word : refused} after ${seconds(answer.tookMs)}`;
}

/** A refusal that says that the task may be in all the same. */
export const saysUnknown = ({ ok, word }: Answer) => !ok && word.startsWith("BROKER_UNAVAILABLE unknown");
