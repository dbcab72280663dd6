import { mkdir, readdir, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type OutageRecord, outageRecordFrom, type OutageStore } from "../../broker/outage.js";
import { storedJson } from "../../core/stored-json.js";

const recordName = /^[0-9a-f-]{36}\.json$/;
/** The newest are kept. */
const most = 200;

/** Records of outages as files in a spool's directory: they outlive their process, and a Redis that lost its data. */
export class OutageFiles implements OutageStore {
  readonly #directory: string;

  constructor(spoolDirectory: string) {
    this.#directory = join(spoolDirectory, "outages");
  }

  async writeOutages(records: readonly OutageRecord[]): Promise<void> {
    // The spool's own directory is the spool's to make and to check.
    await mkdir(this.#directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    for (const record of records) {
      const file = join(this.#directory, `${record.id}.json`);
      await writeFile(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
      await rename(`${file}.new`, file);
    }
    const oldest = (await this.#names()).slice(0, -most);
    await Promise.allSettled(oldest.map((name) => unlink(join(this.#directory, name))));
  }

  async readOutages(): Promise<OutageRecord[]> {
    const names = await this.#names();
    const texts = await Promise.all(
      names.map((name) => readFile(join(this.#directory, name), "utf8").catch(() => undefined)),
    );
    return texts.flatMap((text) => outageRecordFrom(storedJson(text)) ?? []);
  }

  /** The oldest first. */
  async #names(): Promise<string[]> {
    const names = await readdir(this.#directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    return names.filter((name) => recordName.test(name)).toSorted();
  }
}
