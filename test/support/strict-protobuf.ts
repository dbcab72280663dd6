/**
 * asynq's TaskMessage read slowly and strictly, as Go reads it (google.golang.org/protobuf), to judge by: written from the
 * protobuf encoding's rules alone, without a look at our codec. Field numbers as in asynq.proto.
 */
export interface StrictMessage {
  readonly texts: ReadonlyMap<number, string>;
  readonly payload: Buffer;
  /** As signed 64-bit numbers; int32 fields as 32-bit ones. */
  readonly numbers: ReadonlyMap<number, bigint>;
  readonly headers: ReadonlyMap<string, string>;
}

const textFields = new Set([1, 3, 4, 7, 10, 14]);
const int32Fields = new Set([5, 6]);
const int64Fields = new Set([8, 9, 11, 12, 13]);
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @throws Error for what Go refuses, and for groups, which a proto3 message never has */
export function readStrictly(bytes: Buffer): StrictMessage {
  const texts = new Map<number, string>();
  const numbers = new Map<number, bigint>();
  const headers = new Map<string, string>();
  let payload: Buffer = Buffer.alloc(0);
  for (const { number, value } of fields(bytes)) {
    if (typeof value === "bigint") {
      if (int32Fields.has(number)) numbers.set(number, BigInt.asIntN(32, value));
      if (int64Fields.has(number)) numbers.set(number, BigInt.asIntN(64, value));
    } else if (value !== undefined) {
      if (textFields.has(number)) texts.set(number, utf8.decode(value));
      if (number === 2) payload = value;
      if (number === 15) {
        let [name, text] = ["", ""];
        for (const half of fields(value)) {
          if (!Buffer.isBuffer(half.value)) continue;
          if (half.number === 1) name = utf8.decode(half.value);
          if (half.number === 2) text = utf8.decode(half.value);
        }
        headers.set(name, text);
      }
    }
  }
  return { texts, payload, numbers, headers };
}

interface Field {
  readonly number: number;
  /** Of a varint, or of what has a length; else undefined. */
  readonly value: bigint | Buffer | undefined;
}

function fields(bytes: Buffer): Field[] {
  const found: Field[] = [];
  let at = 0;
  const take = (announced: bigint | number): Buffer => {
    const length = Number(announced);
    if (length > bytes.length - at) throw new Error("cut short");
    at += length;
    return bytes.subarray(at - length, at);
  };
  const varint = (): bigint => {
    let value = 0n;
    for (let weight = 1n; ; weight *= 128n) {
      const byte = take(1)[0]!;
      value += BigInt(byte % 128) * weight;
      if (value >= 2n ** 64n || weight > 2n ** 63n) throw new Error("more than 64 bits");
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = tag / 8n;
    if (number < 1n || number >= 2n ** 29n) throw new Error("no field number");
    const kind = Number(tag % 8n);
    if (kind === 0) found.push({ number: Number(number), value: varint() });
    else if (kind === 2) found.push({ number: Number(number), value: take(varint()) });
    else if (kind === 1 || kind === 5) {
      take(kind === 1 ? 8 : 4);
      found.push({ number: Number(number), value: undefined });
    } else throw new Error(`wire type ${kind}`);
  }
  return found;
}
