import type { SearchValue } from "./query.js";

/**
 * Tests of a text that take time in proportion to it, whatever is asked for: no regular expression is made of what a user
 * wrote.
 */
export type TextTest = (text: string) => boolean;

/** The whole text; where it is not quoted, `*` stands for any part. */
export function equals({ text: wanted, quoted }: SearchValue): TextTest {
  if (quoted || !wanted.includes("*")) return (text) => text === wanted;
  const parts = wanted.split("*");
  const first = parts.shift()!;
  const last = parts.pop() ?? "";
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    return inOrder(text, parts, first.length, text.length - last.length);
  };
}

/** A part of the text, without regard to capitals; where it is not quoted, `*` stands for anything between two parts. */
export function contains({ text: wanted, quoted }: SearchValue): TextTest {
  const small = wanted.toLowerCase();
  const parts = quoted ? [small] : small.split("*").filter((part) => part !== "");
  return (text) => {
    const lower = text.toLowerCase();
    return inOrder(lower, parts, 0, lower.length);
  };
}

/** A part of the text as it stands. */
export const containsExactly =
  ({ text: wanted }: SearchValue): TextTest =>
  (text) =>
    text.includes(wanted);

/** The first place of each part behind the one before is as good as any later one. */
function inOrder(text: string, parts: readonly string[], from: number, end: number): boolean {
  let at = from;
  for (const part of parts) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= end;
}
