/** Bounds of one script call, so that none keeps the server for long. A larger row goes alone. */
export const maxRows = 500;
export const maxBytes = 1_048_576;

/** Cuts a list into batches within the bounds, in order. */
export function* batches<T>(rows: readonly T[], bytesOf: (row: T) => number): Generator<readonly T[]> {
  let start = 0;
  let bytes = 0;
  for (let at = 0; at < rows.length; at += 1) {
    const size = bytesOf(rows[at]!);
    if (at > start && (at - start >= maxRows || bytes + size > maxBytes)) {
      yield rows.slice(start, at);
      start = at;
      bytes = 0;
    }
    bytes += size;
  }
  if (start < rows.length) yield rows.slice(start);
}
