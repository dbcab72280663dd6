import { randomFillSync } from "node:crypto";

const pool = Buffer.alloc(4_096);
let poolAt = pool.length;
let lastMs = 0;
let sequence = 0;

/**
 * A new task id: a UUID version 7 (RFC 9562, section 5.7), so ids sort by the time they were made. The 12 bits after
 * the time are a counter within the millisecond, the last 62 bits are random.
 */
export function newId(nowMs: number): string {
  if (nowMs > lastMs || sequence === 0xfff) {
    lastMs = Math.max(nowMs, lastMs + (sequence === 0xfff ? 1 : 0));
    sequence = 0;
  } else {
    sequence += 1;
  }
  if (poolAt === pool.length) {
    randomFillSync(pool);
    poolAt = 0;
  }
  const random = pool.toString("hex", poolAt, poolAt + 8);
  poolAt += 8;
  const time = lastMs.toString(16).padStart(12, "0");
  const variant = ((Number.parseInt(random[0]!, 16) & 0x3) | 0x8).toString(16);
  return (
    `${time.slice(0, 8)}-${time.slice(8)}-7${sequence.toString(16).padStart(3, "0")}-` +
    `${variant}${random.slice(1, 4)}-${random.slice(4)}`
  );
}

const version7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** When an id of ours was made, in Unix ms; `undefined` for ids of another kind. */
export function idTimeMs(id: string): number | undefined {
  return version7.test(id) ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined;
}
