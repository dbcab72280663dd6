import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";

/** Where a record stands. It is sealed to that place: moved to another file, or among others, it does not open. */
interface Place {
  /** The file's own id, 16 random bytes. */
  readonly file: Uint8Array;
  readonly sequence: number;
  readonly id: string;
  readonly atMs: number;
}

/** Turns records into what a file keeps, and back. */
export interface Sealer {
  /** So much longer is what is sealed than the record. */
  readonly bytes: number;
  seal(record: Uint8Array, place: Place): Uint8Array;
  /** @throws SealBroken */
  open(sealed: Uint8Array, place: Place): Uint8Array;
}

/** A record is not what was written at this place. */
export class SealBroken extends Error {
  override readonly name = "SealBroken";
  readonly sequence: number;

  constructor({ sequence }: Pick<Place, "sequence">, cause?: unknown) {
    super(`the seal of record ${sequence} is broken`, { cause });
    this.sequence = sequence;
  }
}

const sealBytes = 16;
const nonceBytes = 12;
/** What encryption adds to a record. */
export const sealedBytes = nonceBytes + sealBytes;

/** Without a key: records are in clear, and a checksum tells of damage. It does not withstand who wants to deceive. */
export const checksum: Sealer = {
  bytes: sealBytes,
  seal: (record, place) => Buffer.concat([digest(record, place), record]),
  open(sealed, place) {
    const record = sealed.subarray(sealBytes);
    if (!digest(record, place).equals(sealed.subarray(0, sealBytes))) throw new SealBroken(place);
    return record;
  },
};

function digest(record: Uint8Array, place: Place): Buffer {
  return createHash("sha256").update(placeBytes(place)).update(record).digest().subarray(0, sealBytes);
}

/**
 * AES-256-GCM with a key of the file's own, so that random nonces are enough however many files one key is used for:
 * nonce, tag, ciphertext. What one kind of file holds opens in no other kind.
 */
export function encryption(key: Uint8Array, file: Uint8Array, use: "spool" | "spill"): Sealer {
  const fileKey = Buffer.from(hkdfSync("sha256", key, file, `holdfast ${use} file`, 32));
  return {
    bytes: sealedBytes,
    seal(record, place) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", fileKey, nonce).setAAD(placeBytes(place));
      const text = Buffer.concat([cipher.update(record), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), text]);
    },
    open(sealed, place) {
      try {
        const nonce = sealed.subarray(0, nonceBytes);
        const decipher = createDecipheriv("aes-256-gcm", fileKey, nonce, { authTagLength: sealBytes });
        decipher.setAAD(placeBytes(place)).setAuthTag(sealed.subarray(nonceBytes, nonceBytes + sealBytes));
        return Buffer.concat([decipher.update(sealed.subarray(nonceBytes + sealBytes)), decipher.final()]);
      } catch (error) {
        throw new SealBroken(place, error);
      }
    },
  };
}

/** Tells keys apart, and nothing about them. */
export function keyIdOf(key: Uint8Array): string {
  return Buffer.from(hkdfSync("sha256", key, "", "holdfast spool key id", 8)).toString("hex");
}

function placeBytes({ file, sequence, id, atMs }: Place): Buffer {
  const numbers = Buffer.allocUnsafe(16);
  numbers.writeDoubleLE(sequence, 0);
  numbers.writeDoubleLE(atMs, 8);
  return Buffer.concat([file, numbers, Buffer.from(id)]);
}
