import type { StoredLetter } from "../../broker/stored-letter.js";
import { encryptionKeySetting, type EncryptionKeys } from "../../core/encryption-key.js";
import { HoldfastError } from "../../core/errors.js";
import { directoryPath, prepareDirectory } from "../../core/own-directory.js";
import { type Given, resolve, setting } from "../../core/settings.js";
import { recordLine } from "../record.js";
import { SpillFile } from "../spill-file.js";

export const spillSettings = {
  directory: setting.text({
    default: undefined,
    allowed: "a path",
    says: "where spill files go: a directory on a local disk for this user alone, made when it is missing",
    parse: directoryPath,
  }),
  key: encryptionKeySetting(
    "encrypts what is spilled (AES-256-GCM); none: it is in clear in files that only this user can read",
  ),
};
export type SpillOptions = Given<typeof spillSettings>;

/** A file takes no more when it is as large or as old as this: small enough to be moved about, large enough to be few. */
const fileBytes = 67_108_864;
const fileMs = 86_400_000;

/** Where one process spills dead letters: one file after the other, each of them its own. */
export class SpillTarget {
  readonly directory: string;
  readonly #keys: EncryptionKeys;
  readonly #nowMs: () => number;
  #file: { readonly file: SpillFile; readonly sinceMs: number } | undefined;
  #prepared = false;

  constructor(directory: string, keys: EncryptionKeys, nowMs: () => number) {
    this.directory = directory;
    this.#keys = keys;
    this.#nowMs = nowMs;
  }

  /** Nothing is touched before the first write. @throws OPTION_INVALID; undefined where no directory is given */
  static from(options: SpillOptions | undefined, nowMs: () => number): SpillTarget | undefined {
    const { directory, key } = resolve(spillSettings, options, "spill");
    return directory === undefined ? undefined : new SpillTarget(directory, key ?? [], nowMs);
  }

  /**
   * When it answers, they are on the disk, in the file that it answers.
   * @throws OPTION_INVALID for a directory that is not this user's alone
   * @throws SPILL_FAILED where they are in no file, as far as anybody can promise
   */
  async write(letters: readonly StoredLetter[]): Promise<string> {
    const { directory } = this;
    if (!this.#prepared) {
      prepareDirectory(directory, "spill.directory");
      this.#prepared = true;
    }
    try {
      const file = await this.#current();
      await file.append(letters.map(recordLine));
      return file.path;
    } catch (cause) {
      await this.#file?.file.giveUp();
      this.#file = undefined;
      const { code = "", message } = cause as NodeJS.ErrnoException;
      const problem = `${code === "ENOSPC" || code === "EDQUOT" ? "no room is left on the disk" : message}; nothing was deleted that is not in a file`;
      throw new HoldfastError("SPILL_FAILED", { path: directory, problem }, { cause });
    }
  }

  async close(): Promise<void> {
    await this.#file?.file.close();
    this.#file = undefined;
  }

  async #current(): Promise<SpillFile> {
    const nowMs = this.#nowMs();
    const open = this.#file;
    if (open !== undefined && (open.file.bytes >= fileBytes || Math.abs(nowMs - open.sinceMs) >= fileMs))
      await this.close();
    this.#file ??= { file: await SpillFile.create(this.directory, this.#keys, nowMs), sinceMs: nowMs };
    return this.#file.file;
  }
}
