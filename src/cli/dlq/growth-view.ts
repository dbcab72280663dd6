import ansis from "ansis";
import { count } from "../../core/counting.js";
import type { Growth } from "../../deadletter/index.js";
import { table } from "../table.js";
import { iso, span } from "../times.js";

/** Queues of which there is something to say: a bound, what has left, or what a Go program may delete. */
const isTold = ({ policy, typePolicies, evicted, go }: Growth) =>
  policy !== undefined || typePolicies > 0 || Object.keys(evicted).length > 0 || go.headroom < 5_000;

export function growthLines(all: readonly Growth[]): string[] {
  const told = all.filter(isTold);
  if (told.length === 0) return [];
  return [
    "",
    ...table<Growth>(
      [
        { head: "GROWTH", cell: ({ queue }) => queue, min: 10 },
        { head: "24 H", cell: ({ inflow }) => count(inflow.day), align: "right" },
        {
          head: "ROOM",
          cell: ({ headroom }) => (headroom === undefined ? "" : count(headroom)),
          align: "right",
          style: (text, { headroom }) => (headroom === 0 ? ansis.yellow(text) : text),
        },
        { head: "FULL IN", cell: ({ fullInMs }) => (fullInMs === undefined ? "" : span(fullInMs)), align: "right" },
        { head: "LEFT STORAGE", cell: ({ evicted }) => counts(evicted), min: 8 },
        {
          head: "GO DELETES IN",
          cell: ({ go }) => (go.headroom < 5_000 && go.fullInMs !== undefined ? span(go.fullInMs) : ""),
          style: (text) => ansis.yellow(text),
          rank: 2,
        },
      ],
      told,
    ),
  ];
}

const counts = (evicted: Growth["evicted"]) =>
  Object.entries(evicted)
    .map(([cause, number]) => `${cause} ${count(number)}`)
    .join(", ");

export const growthJson = ({
  queue,
  letters,
  oldestAtMs,
  headroom,
  inflow,
  fullInMs,
  overdue,
  evicted,
  go,
}: Growth) => ({
  queue,
  letters,
  oldestAt: iso(oldestAtMs),
  headroom: headroom ?? null,
  inflow,
  fullInMs: fullInMs ?? null,
  overdue,
  evicted,
  go: { inReach: go.inReach, headroom: go.headroom, fullInMs: go.fullInMs ?? null },
});
