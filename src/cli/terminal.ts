/** Control and formatting characters: escape sequences, line breaks, and marks that turn the direction of text. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Text from a task, a file name or an error, made safe to print: it can neither steer the terminal nor break the line. */
export function printable(text: string): string {
  return text.toWellFormed().replace(unprintable, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

/** Characters that take two columns: East Asian wide and full-width forms (Unicode Annex 11), and emoji. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const widthOf = (character: string) => (wide.test(character) ? 2 : 1);

/** Text made safe and cut to so many columns; its end is kept, which says more of a path than its beginning. */
export function endOf(text: string, width: number): string {
  const characters = [...printable(text)];
  let left = width - characters.reduce((sum, character) => sum + widthOf(character), 0);
  if (left >= 0) return characters.join("");
  let start = 0;
  for (left -= 1; left < 0; start += 1) left += widthOf(characters[start]!);
  return `…${characters.slice(start).join("")}`;
}

/** Columns of the terminal. Where there is none, lines end where their text does: programs read them, and editors. */
export function columns(): number {
  return Math.max(20, process.stdout.columns ?? Number.POSITIVE_INFINITY);
}

/** A text as lines that fit the terminal, broken at spaces, with the indents of the first and of those that follow. */
export function wrapped(text: string, first = "", following = first): string[] {
  const lines: string[] = [];
  let line = first;
  for (const word of text.split(" ")) {
    if (line.trim() !== "" && line.length + 1 + word.length > columns()) {
      lines.push(line);
      line = following;
    }
    line += line.trim() === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 12,345 */
export const count = (value: number): string => grouped.format(value);

/** 0.42 s */
export const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`;

/** 1.5 MiB */
export function size(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  if (bytes < 1_048_576) return `${(bytes / 1_024).toFixed(1)} KiB`;
  if (bytes < 1_073_741_824) return `${(bytes / 1_048_576).toFixed(1)} MiB`;
  return `${(bytes / 1_073_741_824).toFixed(1)} GiB`;
}
