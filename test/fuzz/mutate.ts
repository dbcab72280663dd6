/** Damage to bytes as accidents and attackers do it; all of it by the numbers of `random`, so that a seed tells it all. */
export class Mutator {
  readonly #random: () => number;
  readonly #seeds: readonly Buffer[];

  constructor(random: () => number, seeds: readonly Buffer[]) {
    this.#random = random;
    this.#seeds = seeds;
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  /** One of the seeds with one to three things done to it. */
  next(): Buffer {
    let bytes = this.pick(this.#seeds);
    for (let edits = 1 + this.below(3); edits > 0; edits -= 1) bytes = this.edited(bytes);
    return bytes;
  }

  /** One thing done to a copy of these. */
  edited(bytes: Buffer): Buffer {
    return this.#edit(Buffer.from(bytes));
  }

  #edit(bytes: Buffer): Buffer {
    const at = this.below(bytes.length + 1);
    const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
    if (this.below(30) === 0) return this.#nested(bytes);
    switch (this.below(9)) {
      case 0:
        if (tail.length > 0) bytes[at]! ^= 1 << this.below(8);
        return bytes;
      case 1:
        if (tail.length > 0) bytes[at] = this.below(256);
        return bytes;
      case 2: // Cut short.
        return head;
      case 3:
        return Buffer.concat([head, tail.subarray(1 + this.below(4))]);
      case 4:
        return Buffer.concat([head, Buffer.from([this.below(256)]), tail]);
      case 5: // A splice; at the very end it is the same fields again.
        return Buffer.concat([this.below(2) === 0 ? bytes : head, this.pick(this.#seeds).subarray(this.below(8))]);
      case 6: // A number, or a length, at the edge of what there is.
        return Buffer.concat([head, this.pick(edges), tail]);
      case 7:
        return Buffer.concat([head, this.pick(invalidText), tail]);
      default: // Some of it twice.
        return Buffer.concat([bytes, bytes.subarray(at, at + 1 + this.below(32))]);
    }
  }

  /** The whole as the content of a field, of a field, of a field …; or as many groups that begin and never end. */
  #nested(bytes: Buffer): Buffer {
    const depth = 1 + this.below(60);
    if (this.below(4) === 0) return Buffer.concat([Buffer.alloc(depth * 20, 0x0b), bytes]);
    const tag = Buffer.from([this.pick([0x7a, 0x0a, 0x12])]);
    let nested: Buffer = bytes;
    for (let level = 0; level < depth; level += 1) nested = Buffer.concat([tag, varint(BigInt(nested.length)), nested]);
    return nested;
  }
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return Buffer.from([...bytes, Number(rest)]);
}

const numbers = [0n, 1n, 127n, 128n, 2n ** 28n - 1n, 2n ** 28n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n];
const edges = [
  ...numbers.flatMap((value) => [varint(value), varint(-value)]),
  varint(2n ** 63n - 1n),
  varint(-(2n ** 63n)),
  Buffer.from("81808000", "hex"), // 1, with needless bytes.
  Buffer.from("ffffffffffffffffff7f", "hex"), // More than 64 bits.
  Buffer.alloc(11, 0xff),
];
const invalidText = ["c328", "eda080", "f4908080", "c0af", "ff", "00", "efbfbd"].map((hex) => Buffer.from(hex, "hex"));
