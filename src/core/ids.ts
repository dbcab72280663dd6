import { randomBytes } from "node:crypto";

/** Random hex digits, 16 for each id: to ask for many at once costs a tenth. */
let digits = "";
let digitsAt = 0;
let lastMs = 0;
let lastTime = "";
let sequence = 0;

/**
 * A new task id: a UUID version 7 (RFC 9562, section 5.7), so ids sort by the time they were made. The 12 bits after
 * the time are a counter within the millisecond, the last 62 bits are random.
 */
export function newId(nowMs: number): string {
  if (nowMs > lastMs || sequence === 0xfff) {
    lastMs = Math.max(nowMs, lastMs + (sequence === 0xfff ? 1 : 0));
    const time = lastMs.toString(16).padStart(12, "0");
    lastTime = `${time.slice(0, 8)}-${time.slice(8)}-7`;
    sequence = 0;
  } else {
    sequence += 1;
  }
  if (digitsAt === digits.length) {
    digits = randomBytes(4_096).toString("hex");
    digitsAt = 0;
  }
  const at = digitsAt;
  digitsAt += 16;
  const count = sequence < 0x100 ? `0${hex[sequence]}` : sequence.toString(16);
  // The variant's two bits, 10, are the first of their digit.
  const variant = "89ab".charAt(Number.parseInt(digits.charAt(at), 16) & 0x3);
  return `${lastTime}${count}-${variant}${digits.slice(at + 1, at + 4)}-${digits.slice(at + 4, at + 16)}`;
}

const hex = Array.from({ length: 0x100 }, (_, byte) => byte.toString(16).padStart(2, "0"));

const version7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** When an id of ours was made, in Unix ms; `undefined` for ids of another kind. */
export function idTimeMs(id: string): number | undefined {
  return version7.test(id) ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined;
}
