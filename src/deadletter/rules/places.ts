import { createHash } from "node:crypto";
import type { TaskInfo } from "../../core/info.js";
import type { Desk } from "../desk.js";

/** How far a rule has looked through the dead letters of a queue, the oldest first. */
export interface RulePlace {
  /** Of the rule: one that begins anew begins with the oldest. */
  readonly sinceMs: number;
  /** Of the page it is at; "" is the first. */
  readonly cursor: string;
  /** The last one it has considered. */
  readonly untilMs: number;
  readonly untilId: string;
  /** There are others behind that one, as far as it has seen. */
  readonly more: boolean;
  /** Nothing has to be done before. */
  readonly dueMs: number;
}

export const firstPlace = (sinceMs: number): RulePlace => ({
  sinceMs,
  cursor: "",
  untilMs: 0,
  untilId: "",
  more: true,
  dueMs: 0,
});

export const isBehind = ({ untilMs, untilId }: RulePlace, { id, archivedAtMs = 0 }: TaskInfo) =>
  archivedAtMs < untilMs || (archivedAtMs === untilMs && id <= untilId);

/** Those of all rules in one queue: a document of the kind "counter". */
export interface QueuePlaces {
  readonly version: number;
  readonly places: Readonly<Record<string, RulePlace>>;
}

/** Names of queues may be longer than those of documents. */
const idOf = (queue: string) => `rules-at:${createHash("sha256").update(queue).digest("hex").slice(0, 32)}`;

export async function readPlaces({ store }: Desk, queues: readonly string[]): Promise<Map<string, QueuePlaces>> {
  const found = new Map((await store.readDocuments("counter", queues.map(idOf))).map((one) => [one.id, one]));
  return new Map(
    queues.map((queue) => {
      const document = found.get(idOf(queue));
      const places = (document?.value as { places?: QueuePlaces["places"] } | undefined)?.places;
      return [queue, { version: document?.version ?? 0, places: typeof places === "object" ? places : {} }];
    }),
  );
}

/** Of rules that there are; false where somebody else has written meanwhile. */
export async function writePlaces(
  { store, nowMs }: Desk,
  queue: string,
  { version, places }: QueuePlaces,
): Promise<boolean> {
  const write = { id: idOf(queue), value: { queue, places }, ifVersion: version };
  const [receipt] = await store.writeDocuments("counter", [write], nowMs());
  return receipt?.status === "written";
}
