import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Broker } from "../../src/broker/broker.js";
import { type Database, loadDriver } from "../../src/embedded/driver.js";
import { embeddedBroker } from "../../src/embedded/index.js";

/** A file of the embedded engine that another program writes into. */
export class OddFile {
  readonly broker: Broker;
  readonly database: Database;
  readonly #folder: string;

  static async open(): Promise<OddFile> {
    const folder = await mkdtemp(join(tmpdir(), "holdfast-rows-"));
    const path = join(folder, "tasks.db");
    const broker = embeddedBroker({ file: path });
    await broker.ping();
    const database = (await loadDriver())(path);
    database.exec("PRAGMA busy_timeout = 5000");
    return new OddFile(folder, broker, database);
  }

  private constructor(folder: string, broker: Broker, database: Database) {
    this.#folder = folder;
    this.broker = broker;
    this.database = database;
  }

  async close(): Promise<void> {
    this.database.close();
    await this.broker.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
