import { spawn, type ChildProcess, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "vitest";
import { connectPostgres } from "./postgres-client.mjs";
import { freePort } from "./redis-server.js";
import { until } from "./until.js";

const versions = "/usr/lib/postgresql";

/** Where Debian and Ubuntu put the programs; the newest version there is. */
const programs = (existsSync(versions) ? readdirSync(versions) : [])
  .toSorted((a, b) => Number(b) - Number(a))
  .map((version) => join(versions, version, "bin"))
  .find((folder) => existsSync(join(folder, "initdb")));

/** PostgreSQL refuses to run as root: then it runs as nobody. */
const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

const suite: (name: string, body: () => void) => void = programs === undefined ? describe.skip : describe;

/** A suite that needs PostgreSQL: skipped, and said so, where there is none. */
export function describePostgres(name: string, body: () => void): void {
  if (programs === undefined)
    process.stderr.write(`SKIPPED, for there is no PostgreSQL in ${versions} (apt-get install postgresql): ${name}\n`);
  suite(name, body);
}

/** A server of one's own, on the loopback, with its data in a temporary folder. */
export class PostgresServer implements AsyncDisposable {
  readonly port: number;
  readonly #folder: string;
  readonly #process: ChildProcess;

  static async start(): Promise<PostgresServer> {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-postgres-"));
    if (nobody.uid !== undefined) chownSync(folder, nobody.uid, nobody.gid);
    const data = join(folder, "data");
    const options = ["-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8"];
    const made = spawnSync(join(programs!, "initdb"), options, { ...nobody, cwd: folder, encoding: "utf8" });
    if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
    const port = await freePort();
    const settings = ["-D", data, "-p", String(port), "-k", folder, "-c", "listen_addresses=127.0.0.1"];
    const server = spawn(join(programs!, "postgres"), settings, { ...nobody, cwd: folder, stdio: "ignore" });
    const started = new PostgresServer(folder, server, port);
    await until("PostgreSQL answers", async () => (await connectPostgres(port)).close(), 20_000);
    return started;
  }

  private constructor(folder: string, server: ChildProcess, port: number) {
    this.#folder = folder;
    this.#process = server;
    this.port = port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, "exit");
    // "Immediate shutdown": nobody needs the data any more.
    this.#process.kill("SIGQUIT");
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
