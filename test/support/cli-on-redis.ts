import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { CliHost } from "./cli.js";
import { RedisServer } from "./redis-server.js";

interface Site {
  readonly url: string;
  /** The program, whose storage the server is. */
  readonly host: CliHost;
  readonly folder: string;
}

/** A server, the program on it and a folder for the tests of a suite. */
export function cliOnRedis(use: (site: Site) => void): void {
  let server: RedisServer;
  let site: Site;
  beforeAll(async () => {
    server = await RedisServer.start();
    const folder = mkdtempSync(join(tmpdir(), "holdfast-cli-"));
    site = { url: server.url, host: new CliHost({ HOLDFAST_URL: server.url }), folder };
    use(site);
  });
  afterAll(async () => {
    await site.host[Symbol.asyncDispose]();
    await server.stop();
    rmSync(site.folder, { recursive: true, force: true });
  });
}
