import { isUtf8 } from "node:buffer";
import { isJson, setOut } from "../core/json-text.js";

/** A line of a payload: in both, only in the old one, only in the new one. */
export interface DiffLine {
  readonly side: "both" | "old" | "new";
  readonly text: string;
}

/** Beyond so many lines that differ, old and new are told one after the other: to find the shortest way takes too long. */
const mostLines = 2_000;

/**
 * What is different, line by line. JSON is set out first, with its digits and its order as they are; bytes that are no text
 * are told in hex, 16 a line.
 */
export function payloadDiff(before: Uint8Array, after: Uint8Array): DiffLine[] {
  const old = linesOf(before);
  const next = linesOf(after);
  let head = 0;
  while (head < old.length && head < next.length && old[head] === next[head]) head += 1;
  let tail = 0;
  while (tail < Math.min(old.length, next.length) - head && old.at(-1 - tail) === next.at(-1 - tail)) tail += 1;
  const middle = between(old.slice(head, old.length - tail), next.slice(head, next.length - tail));
  return [...told("both", old.slice(0, head)), ...middle, ...told("both", old.slice(old.length - tail))];
}

const told = (side: DiffLine["side"], lines: readonly string[]): DiffLine[] => lines.map((text) => ({ side, text }));

function linesOf(bytes: Uint8Array): string[] {
  if (bytes.length === 0) return [];
  if (!isUtf8(bytes)) {
    const hex = Buffer.from(bytes).toString("hex");
    return hex.match(/.{1,32}/g) ?? [];
  }
  const text = Buffer.from(bytes).toString();
  return (isJson(text) ? setOut(text) : text).split(/\r?\n/);
}

/** By the longest common subsequence. */
function between(old: readonly string[], next: readonly string[]): DiffLine[] {
  if (old.length * next.length > mostLines * mostLines) return [...told("old", old), ...told("new", next)];
  const width = next.length + 1;
  const common = new Uint32Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i--) {
    for (let k = next.length - 1; k >= 0; k--) {
      common[i * width + k] =
        old[i] === next[k]
          ? common[(i + 1) * width + k + 1]! + 1
          : Math.max(common[(i + 1) * width + k]!, common[i * width + k + 1]!);
    }
  }
  const lines: DiffLine[] = [];
  let i = 0;
  let k = 0;
  while (i < old.length && k < next.length) {
    if (old[i] === next[k]) {
      lines.push({ side: "both", text: old[i]! });
      i += 1;
      k += 1;
    } else if (common[(i + 1) * width + k]! >= common[i * width + k + 1]!) lines.push({ side: "old", text: old[i++]! });
    else lines.push({ side: "new", text: next[k++]! });
  }
  return [...lines, ...told("old", old.slice(i)), ...told("new", next.slice(k))];
}
