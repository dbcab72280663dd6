import { randomBytes } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { EncryptionKeys } from "../core/encryption-key.js";
import { fsyncDirectory } from "../core/own-directory.js";
import { encryption, keyIdOf, type Sealer } from "../core/seal.js";
import { frameOf, memberOf, sealedHead } from "./spill-frames.js";

/**
 * A file of spilled dead letters while it is written. What `append` was given is on the disk when it answers, and the
 * file's name, too. Each process writes files of its own.
 */
export class SpillFile {
  readonly path: string;
  readonly #directory: string;
  readonly #handle: FileHandle;
  readonly #seal: { readonly sealer: Sealer; readonly file: Uint8Array } | undefined;
  readonly #head: Buffer;
  /** How much of it is whole, and on the disk. */
  #end = 0;
  #frames = 0;

  private constructor(directory: string, path: string, handle: FileHandle, key: Uint8Array | undefined) {
    const file = randomBytes(16);
    this.path = path;
    this.#directory = directory;
    this.#handle = handle;
    this.#seal = key && { sealer: encryption(key, file, "spill"), file };
    this.#head = key === undefined ? Buffer.alloc(0) : sealedHead(file, keyIdOf(key));
  }

  /** Named by the time and something random: names sort by time, and no two processes have the same. */
  static async create(directory: string, [key]: EncryptionKeys, nowMs: number): Promise<SpillFile> {
    const time = new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, "");
    const sealed = key === undefined ? "" : ".sealed";
    const name = `dead-letters-${time}Z-${randomBytes(4).toString("hex")}.jsonl.gz${sealed}`;
    const path = join(directory, name);
    return new SpillFile(directory, path, await open(path, "wx", 0o600), key);
  }

  get bytes(): number {
    return this.#end;
  }

  /** After an error nothing of it counts, and the file takes no more: its end may be torn, which who reads it can tell. */
  async append(lines: readonly string[]): Promise<void> {
    const member = await memberOf(lines);
    const first = this.#end === 0;
    const frame = this.#seal === undefined ? member : frameOf(member, this.#seal.sealer, this.#seal.file, this.#frames);
    const bytes = first ? Buffer.concat([this.#head, frame]) : frame;
    for (let written = 0; written < bytes.length;) {
      const { bytesWritten } = await this.#handle.write(bytes, written, bytes.length - written, this.#end + written);
      written += bytesWritten;
    }
    await this.#handle.sync();
    if (first) fsyncDirectory(this.#directory);
    this.#end += bytes.length;
    this.#frames += 1;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** After an append that failed: what is torn goes away, where it can, and a file that holds nothing, too. */
  async giveUp(): Promise<void> {
    await this.#handle.truncate(this.#end).catch(() => undefined);
    await this.#handle.close().catch(() => undefined);
    if (this.#end === 0) await unlink(this.path).catch(() => undefined);
  }
}
