import { seeded } from "../support/seeded.js";
import { Mutator } from "./mutate.js";

/** A decoder under attack. */
export interface Target<Input = Buffer> {
  readonly name: string;
  readonly seeds: readonly Buffer[];
  /** What the test command takes of it, where 100,000 would take minutes. */
  readonly few?: number;
  /** What it cannot read is nothing: it refuses hardly anything. */
  readonly forgives?: boolean;
  /** What is tried, from mutated bytes. */
  input(mutator: Mutator): Input;
  /** Throws when the input was not handled as it must be; answers whether it was taken or refused. */
  try(input: Input): Verdict | Promise<Verdict>;
  show(input: Input): string;
}

export type Verdict = "taken" | "refused";

export interface Tally {
  readonly taken: number;
  readonly refused: number;
  readonly slowestMs: number;
}

const longestMs = 100;
/** The bound on memory is looked at after so many inputs. */
const window = 1_000;
/** What the garbage collector may leave lying about between two looks. */
const slackBytes = 64 * 1_024 * 1_024;

/**
 * Try a target on `count` inputs made from `seed`. The same seed gives the same inputs.
 * @throws with seed, number and input when one breaks the target, takes it over 100 ms, or makes it allocate out of proportion
 */
export async function fuzz<Input>(target: Target<Input>, count: number, seed: number): Promise<Tally> {
  const mutator = new Mutator(seeded(seed), target.seeds);
  // Most inputs are refused, and the stacks of the errors would take most of the time.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return await attack(target, mutator, count, seed);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

async function attack<Input>(target: Target<Input>, mutator: Mutator, count: number, seed: number): Promise<Tally> {
  const tally = { taken: 0, refused: 0, slowestMs: 0 };
  let before = allocated();
  for (let run = 0; run < count; run += 1) {
    const input = target.input(mutator);
    let problem: string | undefined;
    let cause: unknown;
    const startedMs = performance.now();
    try {
      tally[await target.try(input)] += 1;
      let tookMs = performance.now() - startedMs;
      // A busy machine, or the garbage collector, is no fault of the input: what is slow takes the processor again.
      for (let again = 0; again < 3 && tookMs > longestMs; again += 1) tookMs = await timed(target, input, tookMs);
      if (tookMs > longestMs) problem = `took ${Math.round(tookMs)} ms`;
      tally.slowestMs = Math.max(tally.slowestMs, tookMs);
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
      cause = error;
    }
    if (run % window === window - 1) {
      if (allocated() - before > slackBytes) problem ??= "memory grew out of proportion in the inputs up to this one";
      before = allocated();
    }
    if (problem !== undefined)
      throw new Error(`${target.name}, seed ${seed}, run ${run}: ${problem}\n${target.show(input)}`, { cause });
  }
  return tally;
}

async function timed<Input>(target: Target<Input>, input: Input, atMostMs: number): Promise<number> {
  const started = process.cpuUsage();
  await target.try(input);
  const { user, system } = process.cpuUsage(started);
  return Math.min(atMostMs, (user + system) / 1_000);
}

function allocated(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
