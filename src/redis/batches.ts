/** Bounds of one script call, so that none keeps the server for long. A larger row goes alone. */
export const maxRows = 500;
export const maxBytes = 1_048_576;
/** Of what a script reads in storage: that is neither sent nor parsed. */
export const maxBytesRead = 8_388_608;

/** Cuts rows into batches within the bounds, in order; rows that are made on demand are made batch by batch. */
export function* batches<T>(
  rows: Iterable<T>,
  bytesOf: (row: T) => number,
  most = maxRows,
  mostBytes = maxBytes,
): Generator<readonly T[]> {
  let batch: T[] = [];
  let bytes = 0;
  for (const row of rows) {
    const size = bytesOf(row);
    if (batch.length > 0 && (batch.length >= most || bytes + size > mostBytes)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(row);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}
