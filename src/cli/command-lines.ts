import { columns, widthOf } from "./terminal.js";

/**
 * A command to copy, in lines that fit the terminal. A backslash at the end of a line goes on in the next for every shell,
 * between words and within those that need no quotes.
 */
export function commandLines(words: readonly string[], width = columns()): string[] {
  const whole = `  ${words.join(" ")}`;
  if (widthOf(whole) <= width) return [whole];
  const lines: string[] = [];
  let line = " ";
  for (const word of words) {
    if (line.trim() !== "" && widthOf(line) + 1 + widthOf(word) + 2 > width) {
      lines.push(`${line} \\`);
      line = "   ";
    }
    line += ` ${word}`;
    while (widthOf(line) > width && /^[\w.:/@%+=,-]+$/.test(word)) {
      lines.push(`${line.slice(0, width - 1)}\\`);
      line = line.slice(width - 1);
    }
  }
  return [...lines, line];
}
