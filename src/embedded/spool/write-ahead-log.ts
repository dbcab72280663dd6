/** Source: https://www.sqlite.org/fileformat2.html#walformat */
const headBytes = 32;
const frameHeadBytes = 24;
const bigEndianMagic = 0x377f0683;

/**
 * How many transactions a write-ahead log holds behind its first `frames` frames. SQLite reads a log up to the first frame
 * that is not as it was written and says nothing of what follows: what is there was accepted once and cannot be read. Only
 * the last frame of all may be one that a kill cut off, on top of an older one: SQLite writes a frame's head, then its page.
 */
export function transactionsBehind(log: Buffer, frames: number): number {
  if (log.length < headBytes + frameHeadBytes) return 0;
  const pageBytes = log.readUInt32BE(8);
  if (pageBytes < 512 || pageBytes > 65_536) return 1; // The head itself is damaged, and nothing was read.
  const place = (n: number) => headBytes + n * (frameHeadBytes + pageBytes);
  const current = generation(log);
  const isCurrent = (n: number) => current.some((salts) => salts.equals(log.subarray(place(n) + 8, place(n) + 16)));
  let transactions = 0;
  let last = -1;
  for (let n = frames; place(n + 1) <= log.length; n += 1) {
    if (!isCurrent(n)) continue;
    last = n;
    if (log.readUInt32BE(place(n) + 4) !== 0) transactions += 1;
  }
  return transactions === 1 && isIntact(log, pageBytes, frames, last) ? 0 : transactions;
}

/**
 * Frames of this generation have the salts of the log's head; behind them there may be older ones, which are in the
 * database already. Where the head is damaged, nobody knows whether its salts are, and the first frame's count, too.
 */
function generation(log: Buffer): Buffer[] {
  const salts = log.subarray(16, 24);
  const intact = isSum(log, headBytes - 8, sumOf(log, [0, 0], 0, headBytes - 8));
  return intact ? [salts] : [salts, log.subarray(headBytes + 8, headBytes + 16)];
}

/** Whether the frames `from` to `to` (exclusive) are as they were written: each carries the checksum of all up to it. */
function isIntact(log: Buffer, pageBytes: number, from: number, to: number): boolean {
  const place = (n: number) => headBytes + n * (frameHeadBytes + pageBytes);
  const before = from === 0 ? headBytes - 8 : place(from - 1) + 16;
  let sum: Sum = [log.readUInt32BE(before), log.readUInt32BE(before + 4)];
  for (let n = from; n < to; n += 1) {
    const at = place(n);
    sum = sumOf(log, sum, at, at + 8);
    sum = sumOf(log, sum, at + frameHeadBytes, place(n + 1));
    if (!isSum(log, at + 16, sum)) return false;
  }
  return true;
}

type Sum = readonly [number, number];

/** The checksum that goes on with `sum` from byte `start` to `end`. */
function sumOf(log: Buffer, sum: Sum, start: number, end: number): Sum {
  let [first, second] = sum;
  const bigEndian = log.readUInt32BE(0) === bigEndianMagic;
  const word = (at: number) => (bigEndian ? log.readUInt32BE(at) : log.readUInt32LE(at));
  for (let at = start; at < end; at += 8) {
    first = (first + word(at) + second) >>> 0;
    second = (second + word(at + 4) + first) >>> 0;
  }
  return [first, second];
}

const isSum = (log: Buffer, at: number, [first, second]: Sum) =>
  log.readUInt32BE(at) === first && log.readUInt32BE(at + 4) === second;
