/** Texts up to this length are written by ourselves: a call into the runtime costs as much as thirty characters. */
const shortText = 24;

/** Writes text as UTF-8 where there is room for three bytes a UTF-16 unit; answers how many bytes it took. */
export function writeText(buffer: Buffer, text: string, at: number): number {
  if (text.length > shortText) return buffer.write(text, at);
  for (let n = 0; n < text.length; n += 1) {
    const unit = text.charCodeAt(n);
    if (unit > 0x7f) return buffer.write(text, at);
    buffer[at + n] = unit;
  }
  return text.length;
}
