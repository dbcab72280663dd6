import { printable, unprintable } from "../core/printable.js";

/** JSON for programs that is safe for terminals too: the same characters are written as the escapes that JSON has. */
export function printableJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, undefined, indent);
  return text.replace(unprintable, (character) => (character === "\n" ? "\n" : jsonEscape(character)));
}

const jsonEscape = (character: string) =>
  Array.from(
    { length: character.length },
    (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
  ).join("");

/** Characters that take two columns: East Asian wide and full-width forms (Unicode Annex 11), and emoji. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
/** Marks that stand on the character before them. */
const combining = /\p{Mn}|\p{Me}/u;

function columnsOf(character: string): number {
  if (character <= "~") return 1;
  if (combining.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
}

/** Columns that a text takes on a terminal. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += columnsOf(character);
  return width;
}

/** Text made safe and cut to so many columns; its beginning is kept. */
export function startOf(text: string, width: number): string {
  const safe = printable(text);
  let room = width;
  let end = 0;
  let cut = 0;
  for (const character of safe) {
    room -= columnsOf(character);
    if (room < 0) return `${safe.slice(0, cut)}…`;
    end += character.length;
    if (room >= 1) cut = end;
  }
  return safe;
}

/** Text made safe and cut to so many columns; its end is kept, which says more of a path than its beginning. */
export function endOf(text: string, width: number): string {
  const characters = [...printable(text)];
  let left = width - characters.reduce((sum, character) => sum + columnsOf(character), 0);
  if (left >= 0) return characters.join("");
  let start = 0;
  for (left -= 1; left < 0; start += 1) left += columnsOf(characters[start]!);
  return `…${characters.slice(start).join("")}`;
}

/** Columns of the terminal. Where there is none, lines end where their text does: programs read them, and editors. */
export function columns(): number {
  return Math.max(20, process.stdout.columns ?? Number.POSITIVE_INFINITY);
}

/** Text made safe, as lines that fit the terminal, broken at spaces, with the indents of the first and of those that follow. */
export function wrapped(text: string, first = "", following = first, width = columns()): string[] {
  const lines: string[] = [];
  let line = first;
  for (const word of printable(text).split(" ")) {
    if (line.trim() !== "" && widthOf(line) + 1 + widthOf(word) > width) {
      lines.push(line);
      line = following;
    }
    line += line.trim() === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}

/** 0.42 s */
export const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`;

/** 1.5 MiB */
export function size(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  if (bytes < 1_048_576) return `${(bytes / 1_024).toFixed(1)} KiB`;
  if (bytes < 1_073_741_824) return `${(bytes / 1_048_576).toFixed(1)} MiB`;
  return `${(bytes / 1_073_741_824).toFixed(1)} GiB`;
}

/** 1.2k, 34M: where there is no room for all digits. */
export function shortCount(value: number): string {
  if (value < 10_000) return String(value);
  const [divisor, unit] = value < 1e6 ? [1e3, "k"] : value < 1e9 ? [1e6, "M"] : [1e9, "G"];
  const scaled = value / divisor;
  return `${scaled < 10 ? Math.floor(scaled * 10) / 10 : Math.floor(scaled)}${unit}`;
}
