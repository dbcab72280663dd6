import type { Headers } from "./names.js";

/** The trace that a task belongs to, of the header `traceparent`: https://www.w3.org/TR/trace-context */
export function traceIdOf(headers: Headers | undefined): string | undefined {
  const [, parent] = Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === "traceparent") ?? [];
  return /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(parent ?? "")?.[1];
}
