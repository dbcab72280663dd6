import { isJson, setOut } from "../core/json-text.js";
import { printable } from "../core/printable.js";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes as text where they are UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Bytes as JSON has room for them, and nothing lost: text where they are UTF-8, else base64. */
export function encoded(bytes: Uint8Array): { readonly text: string; readonly encoding: "utf8" | "base64" } {
  const text = textOf(bytes);
  return text === undefined
    ? { text: Buffer.from(bytes).toString("base64"), encoding: "base64" }
    : { text, encoding: "utf8" };
}

/** Some of the bytes on one line, for a table. */
export function preview(bytes: Uint8Array): string {
  const text = textOf(bytes);
  if (text !== undefined) return text;
  const start = Buffer.from(bytes.subarray(0, 16)).toString("hex");
  return `${bytes.length} bytes: ${start}${bytes.length > 16 ? "…" : ""}`;
}

/** Bytes for people, a line a string, safe to print: JSON set out, other text as it is, a hex dump of what is no text. */
export function payloadLines(bytes: Uint8Array): string[] {
  const text = textOf(bytes);
  // A zero byte is UTF-8, but what holds one is no text.
  if (text === undefined || text.includes("\0")) return hexLines(bytes);
  return (isJson(text) ? setOut(text) : text).split(/\r?\n/).map(printable);
}

/** Sixteen bytes a line: offset, hex, and what is ASCII of them. */
export function hexLines(bytes: Uint8Array): string[] {
  return Array.from({ length: Math.ceil(bytes.length / 16) }, (_, i) => {
    const row = bytes.subarray(i * 16, i * 16 + 16);
    const hex = Array.from(row, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const ascii = Array.from(row, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    return `${(i * 16).toString(16).padStart(6, "0")}  ${hex.padEnd(47)}  ${ascii}`;
  });
}
