/** Source: https://www.sqlite.org/fileformat2.html#walformat */
const headBytes = 32;
const frameHeadBytes = 24;

/**
 * How many transactions a write-ahead log holds behind its first `frames` frames. SQLite reads a log up to the first frame
 * that is not as it was written and says nothing of what follows. A process that is killed leaves nothing there: the frame
 * that ends a transaction is written last. So what is there was accepted once and cannot be read.
 */
export function transactionsBehind(log: Buffer, frames: number): number {
  if (log.length < headBytes + frameHeadBytes) return 0;
  const pageBytes = log.readUInt32BE(8);
  if (pageBytes < 512 || pageBytes > 65_536) return 1; // The head itself is damaged, and nothing was read.
  const current = generation(log);
  let transactions = 0;
  for (let n = frames; headBytes + (n + 1) * (frameHeadBytes + pageBytes) <= log.length; n += 1) {
    const at = headBytes + n * (frameHeadBytes + pageBytes);
    const endsTransaction = log.readUInt32BE(at + 4) !== 0;
    if (endsTransaction && current.some((salts) => salts.equals(log.subarray(at + 8, at + 16)))) transactions += 1;
  }
  return transactions;
}

/** Frames of this generation have its salts; behind them there may be older ones, which are in the database already. */
function generation(log: Buffer): Buffer[] {
  const [head, first] = [log.subarray(16, 24), log.subarray(headBytes + 8, headBytes + 16)];
  // Begun anew, and nothing written yet: the first salt counts up.
  if (head.readUInt32BE(0) === (first.readUInt32BE(0) + 1) >>> 0) return [head];
  // They are equal, or one of them is damaged.
  return [head, first];
}
