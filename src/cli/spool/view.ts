import ansis from "ansis";
import type { SpooledTaskInfo, SpoolPart } from "../../index.js";
import { encoded } from "../payload-view.js";
import { numbers } from "../queue/view.js";
import { type Column, table } from "../table.js";
import { size } from "../terminal.js";
import { iso, span } from "../times.js";

export function partLines(parts: readonly SpoolPart[], nowMs: number): string[] {
  const columns: readonly Column<SpoolPart>[] = [
    { head: "NAME", cell: ({ name }) => name },
    {
      head: "STATE",
      cell: ({ alive }) => (alive ? "alive" : "dead"),
      style: (text) => (text === "dead" ? ansis.yellow(text) : text),
    },
    numbers("TASKS", ({ tasks }) => tasks),
    numbers("PARKED", ({ parked }) => parked, 1, true),
    { head: "BYTES", cell: ({ bytes }) => size(bytes), align: "right", rank: 3 },
    {
      head: "OLDEST",
      cell: ({ oldestAtMs }) => (oldestAtMs === undefined ? "" : span(nowMs - oldestAtMs)),
      align: "right",
      rank: 2,
    },
    { head: "", cell: ({ problem }) => problem ?? "", min: 6, style: (text) => ansis.yellow(text), rank: 4 },
  ];
  return table(columns, parts);
}

export function taskLines(tasks: readonly SpooledTaskInfo[], nowMs: number): string[] {
  const columns: readonly Column<SpooledTaskInfo>[] = [
    { head: "SEQUENCE", cell: ({ sequence }) => String(sequence), align: "right", rank: 2 },
    { head: "ID", cell: ({ id }) => id },
    { head: "QUEUE", cell: ({ message }) => message?.queue ?? "?", min: 8 },
    { head: "TYPE", cell: ({ message }) => message?.type ?? "?", min: 8 },
    { head: "WAITS", cell: ({ acceptedAtMs }) => span(nowMs - acceptedAtMs), align: "right", rank: 1 },
    { head: "PARKED", cell: ({ parked }) => parked?.problem ?? "", min: 6, style: (text) => ansis.yellow(text) },
  ];
  return table(columns, tasks);
}

export function partJson({ owner, oldestAtMs, problem, ...part }: SpoolPart) {
  const { pid = null, host = null } = owner ?? {};
  return { ...part, pid, host, startedAt: iso(owner?.sinceMs), oldestAt: iso(oldestAtMs), problem: problem ?? null };
}

export function taskJson({ sequence, id, acceptedAtMs, parked, message }: SpooledTaskInfo, payload: boolean) {
  const { text, encoding } = encoded(message?.payload ?? new Uint8Array(0));
  return {
    sequence,
    id,
    queue: message?.queue ?? null,
    type: message?.type ?? null,
    acceptedAt: iso(acceptedAtMs),
    parkedAt: iso(parked?.atMs),
    problem: parked?.problem ?? null,
    ...(payload && message !== undefined ? { payload: text, payloadEncoding: encoding } : {}),
  };
}
