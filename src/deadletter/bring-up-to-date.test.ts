import { expect, it } from "vitest";
import type { DeadLetterStore } from "../broker/dead-letters.js";
import { bringUpToDate } from "./bring-up-to-date.js";

const queues = Array.from({ length: 250 }, (_, n) => `q${n}`);
/** What is asked for, where so many wait in each hundred queues. */
async function steps(waiting: number): Promise<string[]> {
  const asked: string[] = [];
  const left = new Map<string, number>();
  const indexDeadLetters: DeadLetterStore["indexDeadLetters"] = async (some, limit, _nowMs, atOnce) => {
    const first = some[0]!;
    const looked = Math.min(left.get(first) ?? waiting, limit);
    left.set(first, (left.get(first) ?? waiting) - looked);
    asked.push(`${first}…${some.at(-1)} ${atOnce} ${looked}`);
    return looked;
  };
  await bringUpToDate({ store: { indexDeadLetters } as DeadLetterStore, nowMs: () => 0 }, queues);
  return asked;
}

it("takes some queues at a time, and each once where nothing is new", async () => {
  expect(await steps(0)).toEqual(["q0…q99 true 0", "q100…q199 true 0", "q200…q249 true 0"]);
});

it("goes on where there is more, up to a bound of all", async () => {
  expect(await steps(1_200)).toEqual([
    "q0…q99 true 500",
    "q0…q99 false 500",
    "q0…q99 false 200",
    "q100…q199 true 500",
    "q100…q199 false 500",
  ]);
});
