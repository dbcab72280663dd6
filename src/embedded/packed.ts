/** Several byte strings in one buffer of its own, which can be handed to another thread instead of being copied. */
export interface Packed {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** One for each; -1 where there is none. */
  readonly lengths: readonly number[];
}

export function pack(parts: readonly (Uint8Array | undefined)[]): Packed {
  const lengths = parts.map((part) => part?.length ?? -1);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + Math.max(0, length), 0));
  let at = 0;
  for (const part of parts) {
    if (part === undefined) continue;
    bytes.set(part, at);
    at += part.length;
  }
  return { bytes, lengths };
}

/** The same parts again, as views of the one buffer. */
export function unpack({ bytes, lengths }: Packed): (Uint8Array | undefined)[] {
  let at = 0;
  return lengths.map((length) => (length < 0 ? undefined : bytes.subarray(at, (at += length))));
}
