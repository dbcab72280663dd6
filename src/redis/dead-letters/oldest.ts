import type { LettersFrom, OldestLetter } from "../../broker/letter-marks.js";
import { storedJson } from "../../core/stored-json.js";
import { listOf, numberIn, textIn, timeOf } from "../answers.js";
import { keysOf } from "../keys.js";
import type { Caller, Reply } from "../link.js";
import { deadOldest } from "../scripts.gen.js";

/** Id and score of the last that was looked at, in each of the two archives. */
type Place = readonly [asideId: string, asideScore: string, id: string, score: string];

/** A call a queue, all in one trip. */
export async function oldestUnacknowledged(
  link: Caller,
  from: readonly LettersFrom[],
  limit: number,
): Promise<OldestLetter[]> {
  const calls = from.map(({ queue, place }) => {
    const [asideId, asideScore, id, score] = placeIn(place);
    return deadOldest(keysOf(queue), { limit, asideId, asideScore, id, score });
  });
  return (await link.run(calls)).map((reply) => oldestIn(link.label, listOf(link.label, reply)));
}

function oldestIn(broker: string, reply: readonly Reply[]): OldestLetter {
  const [aside, asideId, asideScore, asideMore, asideCount, last, id, score, more, count] = reply;
  const found = [aside, last].map((died) => textIn(broker, died));
  const times = found.flatMap((died) => (died === "" ? [] : [timeOf(died)]));
  const place = [asideId, asideScore, id, score].map((part) => textIn(broker, part));
  return {
    atMs: times.length === 0 ? undefined : Math.min(...times),
    count: numberIn(broker, asideCount) + numberIn(broker, count),
    more: [asideMore, more].some((one, n) => found[n] === "" && numberIn(broker, one) === 1),
    place: JSON.stringify(place),
  };
}

function placeIn(place: string | undefined): Place {
  const parts = storedJson(place);
  return Array.isArray(parts) && parts.length === 4 ? (parts.map(String) as unknown as Place) : ["", "", "", ""];
}
