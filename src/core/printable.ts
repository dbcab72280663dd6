/**
 * What a terminal obeys, or does not show: control characters (escape sequences begin with one, in seven bits or eight),
 * line and paragraph ends, marks that turn the direction of text, and whatever takes no room, so that two texts that look
 * alike are alike.
 */
export const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** Text from a task, a file name or an error, made safe to print: it can neither steer the terminal nor break the line. */
export function printable(text: string): string {
  return text.toWellFormed().replace(unprintable, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}
