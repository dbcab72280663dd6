import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import type { EncryptionKeys } from "../core/encryption-key.js";
import { HoldfastError, invalidOption, shown } from "../core/errors.js";
import { encryption, keyIdOf } from "../core/seal.js";
import {
  frameHeadBytes,
  isGzip,
  linesIn,
  memberHeadBytes,
  memberLength,
  placeOf,
  readSealedHead,
  sealedHeadBytes,
} from "./spill-frames.js";

export interface LinesOptions {
  readonly keys?: EncryptionKeys;
  /**
   * The end of the file is torn, as a kill or a full disk leaves it: what it was to hold has not been deleted from
   * storage. Told after the last line that is whole.
   */
  readonly onTorn?: (bytes: number) => void;
}

/**
 * The lines of a file of dead letters: a spill file, sealed or in clear, what `gzip` made of one, or plain JSON Lines.
 * @throws OPTION_INVALID where it cannot be read, or no key given opens it; SPILL_FAILED where it is damaged before its end
 */
export async function* linesOf(path: string, { keys = [], onTorn }: LinesOptions = {}): AsyncGenerator<string, void> {
  const handle = await opened(path);
  try {
    const head = await bytesAt(handle, 0, Math.max(sealedHeadBytes, memberHeadBytes));
    if (readSealedHead(head) !== undefined) yield* sealedLines(handle, path, keys, onTorn);
    else if (memberLength(head) !== undefined) yield* memberLines(handle, path, onTorn);
    else yield* plainLines(path, isGzip(head));
  } finally {
    await handle.close();
  }
}

async function opened(path: string): Promise<FileHandle> {
  let handle: FileHandle;
  try {
    handle = await open(path, "r");
  } catch (error) {
    throw invalidOption("file", `${shown(path)} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
  if (!(await handle.stat()).isDirectory()) return handle;
  await handle.close();
  throw invalidOption("file", `${shown(path)} is a directory: name one of its files`);
}

type Torn = LinesOptions["onTorn"];

async function* memberLines(handle: FileHandle, path: string, onTorn: Torn): AsyncGenerator<string, void> {
  const { size } = await handle.stat();
  for (let at = 0; at < size;) {
    const length = memberLength(await bytesAt(handle, at, memberHeadBytes));
    if (length === undefined || at + length > size) return onTorn?.(size - at);
    const lines = await linesIn(await bytesAt(handle, at, length)).catch((error: unknown) => error as Error);
    if (lines instanceof Error) {
      if (at + length < size) throw damaged(path, at);
      return onTorn?.(length);
    }
    yield* lines;
    at += length;
  }
}

async function* sealedLines(
  handle: FileHandle,
  path: string,
  keys: EncryptionKeys,
  onTorn: Torn,
): AsyncGenerator<string, void> {
  const { file, keyId } = readSealedHead(await bytesAt(handle, 0, sealedHeadBytes))!;
  const key = keys.find((one) => keyIdOf(one) === keyId);
  if (key === undefined) {
    const given = keys.length === 0 ? "none is given" : "it is not among those given";
    throw invalidOption("key", `${shown(path)} is sealed with the key ${keyId}, and ${given}`);
  }
  const sealer = encryption(key, file, "spill");
  const { size } = await handle.stat();
  for (let at = sealedHeadBytes, number = 0; at < size; number += 1) {
    const head = await bytesAt(handle, at, frameHeadBytes);
    const end = head.length < frameHeadBytes ? Number.POSITIVE_INFINITY : at + frameHeadBytes + head.readUInt32LE();
    if (end > size) return onTorn?.(size - at);
    const sealed = await bytesAt(handle, at + frameHeadBytes, end - at - frameHeadBytes);
    let lines: string[];
    try {
      lines = await linesIn(sealer.open(sealed, placeOf(file, number)));
    } catch {
      if (end < size) throw damaged(path, at);
      return onTorn?.(size - at);
    }
    yield* lines;
    at = end;
  }
}

async function* plainLines(path: string, gzipped: boolean): AsyncGenerator<string, void> {
  const file = createReadStream(path);
  const input = gzipped ? file.pipe(createGunzip()) : file;
  file.on("error", (error) => input.destroy(error));
  try {
    yield* linesOfStream(input);
  } catch (error) {
    const problem = `it cannot be ${gzipped ? "unpacked" : "read"}: ${(error as Error).message}; what follows was not read`;
    throw new HoldfastError("SPILL_FAILED", { path, problem });
  }
}

/**
 * The lines of a stream. They end at "\n" alone: Node's readline ends them at U+2028, too, which may stand in JSON as it
 * is.
 */
export async function* linesOfStream(stream: Readable): AsyncGenerator<string, void> {
  let rest = "";
  for await (const text of stream.setEncoding("utf8")) {
    const lines = (rest + String(text)).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest.trim() !== "") yield rest;
}

/** Fewer than asked for at the file's end. */
async function bytesAt(handle: FileHandle, at: number, count: number): Promise<Buffer> {
  const bytes = Buffer.alloc(count);
  let read = 0;
  while (read < count) {
    const { bytesRead } = await handle.read(bytes, read, count - read, at + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return bytes.subarray(0, read);
}

const damaged = (path: string, at: number) =>
  new HoldfastError("SPILL_FAILED", { path, problem: `it is damaged at byte ${at}: what is behind it was not read` });
