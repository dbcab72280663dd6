import { printable } from "./printable.js";

/**
 * A text as one word of a command to copy: as it is, in single quotes or, where it holds what a terminal obeys, in bash's
 * and zsh's $'…'.
 */
export function shellWord(text: string): string {
  if (/^[\w.:/@%+=,][\w.:/@%+=,-]*$/.test(text)) return text;
  const quoted = text.replaceAll("\\", "\\\\").replaceAll("'", "\\'");
  if (printable(text) !== text) return `$'${printable(quoted).replaceAll(/\\u\{([0-9a-f]+)\}/g, escape)}'`;
  return `'${text.replaceAll("'", "'\\''")}'`;
}

const escape = (_whole: string, hex: string) => `\\U${hex.padStart(8, "0")}`;
