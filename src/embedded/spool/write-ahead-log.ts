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

/** Frames of this generation have its salts; behind them there may be older ones, which are in the database already. */
function generation(log: Buffer): Buffer[] {
  const [head, first] = [log.subarray(16, 24), log.subarray(headBytes + 8, headBytes + 16)];
  // Begun anew, and nothing written yet: the first salt counts up.
  if (head.readUInt32BE(0) === (first.readUInt32BE(0) + 1) >>> 0) return [head];
  // They are equal, or one of them is damaged.
  return [head, first];
}

/** Whether the frames `from` to `to` (exclusive) are as they were written: each carries the checksum of all up to it. */
function isIntact(log: Buffer, pageBytes: number, from: number, to: number): boolean {
  const bigEndian = log.readUInt32BE(0) === bigEndianMagic;
  const word = (at: number) => (bigEndian ? log.readUInt32BE(at) : log.readUInt32LE(at));
  const frame = (n: number) => headBytes + n * (frameHeadBytes + pageBytes);
  const before = from === 0 ? 24 : frame(from - 1) + 16;
  let [first, second] = [log.readUInt32BE(before), log.readUInt32BE(before + 4)];
  const add = (start: number, end: number) => {
    for (let at = start; at < end; at += 8) {
      first = (first + word(at) + second) >>> 0;
      second = (second + word(at + 4) + first) >>> 0;
    }
  };
  for (let n = from; n < to; n += 1) {
    const at = frame(n);
    add(at, at + 8);
    add(at + frameHeadBytes, at + frameHeadBytes + pageBytes);
    if (first !== log.readUInt32BE(at + 16) || second !== log.readUInt32BE(at + 20)) return false;
  }
  return true;
}
