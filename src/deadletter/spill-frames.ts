import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import type { Sealer } from "../core/seal.js";

/**
 * What a spill file is made of. In clear it is a gzip file, which `zcat` reads: each append is a gzip member of its own,
 * and says in an extra field of its header ("HF") how long it is, so that a torn end can be told from what is before it.
 * With a key it has a head (what it is, the file's id, the key's), and then frames: the length of what follows, and a
 * member sealed to its place in the file.
 * Source: https://www.rfc-editor.org/rfc/rfc1952 (2.3: member header, extra field).
 */
const packed = promisify(gzip);
const unpacked = promisify(gunzip);

const headerBytes = 10;
/** XLEN, the subfield's name and length, and our length. */
const extraBytes = 2 + 4 + 4;
const extraFlag = 0x04;
/** So much of a member tells its length. */
export const memberHeadBytes = headerBytes + extraBytes;

/** A member's text is never longer: what says so is damaged, or made to fill memory. */
const longestText = 1_073_741_824;

export async function memberOf(lines: readonly string[]): Promise<Buffer> {
  const plain = await packed(`${lines.join("\n")}\n`);
  const head = Buffer.alloc(memberHeadBytes);
  plain.copy(head, 0, 0, headerBytes);
  head[3] = head[3]! | extraFlag;
  head.writeUInt16LE(extraBytes - 2, headerBytes);
  head.write("HF", headerBytes + 2, "latin1");
  head.writeUInt16LE(4, headerBytes + 4);
  head.writeUInt32LE(plain.length + extraBytes, headerBytes + 6);
  return Buffer.concat([head, plain.subarray(headerBytes)]);
}

/** How long a member is, by its first bytes; undefined where it is none of ours. */
export function memberLength(head: Uint8Array): number | undefined {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length);
  if (bytes.length < memberHeadBytes || !isGzip(bytes) || (bytes[3]! & extraFlag) === 0) return undefined;
  if (bytes.toString("latin1", headerBytes + 2, headerBytes + 4) !== "HF") return undefined;
  return bytes.readUInt32LE(headerBytes + 6);
}

export const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

/** @throws where it is damaged: its checksum is looked at, too */
export async function linesIn(gzipped: Uint8Array): Promise<string[]> {
  const text = (await unpacked(gzipped, { maxOutputLength: longestText })).toString("utf8");
  return text.split("\n").filter((line) => line.trim() !== "");
}

/** What a sealed file begins with: "HfDl", the version, its id of 16 bytes, its key's id of 8. */
const magic = Buffer.from([0x48, 0x66, 0x44, 0x6c, 0x01]);
export const sealedHeadBytes = magic.length + 16 + 8;

export const sealedHead = (file: Uint8Array, keyId: string): Buffer =>
  Buffer.concat([magic, file, Buffer.from(keyId, "hex")]);

export function readSealedHead(head: Uint8Array): { readonly file: Uint8Array; readonly keyId: string } | undefined {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length);
  if (bytes.length < sealedHeadBytes || !bytes.subarray(0, magic.length).equals(magic)) return undefined;
  return {
    file: bytes.subarray(magic.length, magic.length + 16),
    keyId: bytes.toString("hex", magic.length + 16, sealedHeadBytes),
  };
}

export const frameHeadBytes = 4;

/** `number`: the frame's place in the file, from 0 on. */
export function frameOf(member: Uint8Array, sealer: Sealer, file: Uint8Array, number: number): Buffer {
  const sealed = sealer.seal(member, placeOf(file, number));
  const head = Buffer.alloc(frameHeadBytes);
  head.writeUInt32LE(sealed.length);
  return Buffer.concat([head, sealed]);
}

export const placeOf = (file: Uint8Array, number: number) => ({ file, sequence: number, id: "", atMs: 0 });
