import ansis from "ansis";
import { count } from "../../core/counting.js";
import type { MaintenanceBegun, QueueMaintenance, ReplicaState } from "../../index.js";
import { table } from "../table.js";
import { dateAndDistance, iso, relative } from "../times.js";

export function begunLines({ queues, untilMs, active, servers, ready }: MaintenanceBegun, nowMs: number): string[] {
  const running = active === 0 ? "nothing runs" : ansis.yellow(`${count(active)} tasks still run`);
  return [
    `maintenance until ${dateAndDistance(untilMs, nowMs)}: ${count(queues.length)} queues take no tasks and start none`,
    running,
    ...replicaLines(servers),
    ready
      ? "then: holdfast maintenance failover, or your own work; at the end: holdfast maintenance end"
      : ansis.yellow("not ready: begin again to wait for longer, or holdfast maintenance end"),
  ];
}

export function replicaLines(servers: readonly ReplicaState[]): string[] {
  return servers.flatMap(({ server, replicas }) =>
    replicas.length === 0
      ? [`${server} has no replica`]
      : replicas.map((replica) =>
          replica.caughtUp
            ? `${replica.server} has all that ${server} has`
            : ansis.yellow(`${replica.server} lacks some of what ${server} has`),
        ),
  );
}

export function standingLines(standing: readonly QueueMaintenance[], nowMs: number): string[] {
  return table<QueueMaintenance>(
    [
      { head: "QUEUE", cell: ({ queue }) => queue, min: 12 },
      { head: "UNTIL", cell: ({ untilMs }) => relative(untilMs, nowMs) },
      { head: "SINCE", cell: ({ sinceMs }) => relative(sinceMs, nowMs), rank: 1 },
      { head: "BY", cell: ({ actor }) => actor, min: 6, rank: 2 },
      { head: "", cell: ({ reason }) => reason, min: 6 },
    ],
    standing,
  );
}

export function begunJson({ untilMs, ...begun }: MaintenanceBegun) {
  return { ...begun, until: iso(untilMs) };
}

export function standingJson({ sinceMs, untilMs, reason, ...standing }: QueueMaintenance) {
  return { ...standing, since: iso(sinceMs), until: iso(untilMs), reason: reason === "" ? null : reason };
}
