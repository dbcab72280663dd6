import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { describe } from "vitest";
import { until } from "./until.js";

/** Another version, or Valkey, by its path. */
const binary = process.env["REDIS_SERVER"] || "redis-server";
const installed = spawnSync(binary, ["--version"]).status === 0;

if (!installed && process.env["CI"] === "true") throw new Error(`there is no ${binary}, and CI must have one`);
const suite: (name: string, body: () => void) => void = installed ? describe : describe.skip;

/** A suite that needs real servers: skipped, and said so, where there is no redis-server; in CI that is a failure. */
export function describeRedis(name: string, body: () => void): void {
  if (!installed) process.stderr.write(`SKIPPED, for there is no ${binary}: ${name}\n`);
  suite(name, body);
}

export interface ServerOptions {
  /** Lines of redis.conf as pairs; a list makes a line of each: { maxmemory: "20mb", user: ["bob on …"] }. */
  readonly config?: Readonly<Record<string, string | readonly string[]>>;
  /** With certificates of its own, or these. */
  readonly tls?: boolean | Certificates;
  /** Default: 127.0.0.1. */
  readonly host?: "127.0.0.1" | "127.0.0.2" | "::1";
  /** Default: a free one. */
  readonly port?: number;
  /** Default: "loaded". "listening" does not wait for the data. */
  readonly ready?: "loaded" | "listening";
  /** A Sentinel, that keeps its `config` in a file. */
  readonly sentinel?: boolean;
  /** Beside this process's own environment: what is to be loaded into the server, say. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Certificates {
  /** Files. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** The authority's certificate, PEM. */
  readonly caText: string;
}

/** A redis-server process of one's own, on a free port of the loopback, in a folder of its own. */
export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly host: string;
  readonly dir: string;
  readonly certificates: Certificates | undefined;
  readonly #options: ServerOptions;
  #process: ChildProcess | undefined;
  #log = "";
  #admin: Redis | undefined;

  static async start(options: ServerOptions = {}): Promise<RedisServer> {
    for (let attempt = 1; ; attempt++) {
      // The bus of a Cluster's node has a port 10,000 above.
      const highest = options.config?.["cluster-enabled"] === "yes" ? 55_535 : 65_535;
      const server = new RedisServer(options.port ?? (await freePort(highest)), options);
      try {
        await server.start();
        return server;
      } catch (error) {
        await server.stop();
        // Somebody else may have taken the port between our look and the server's.
        if (attempt === 3 || !server.#log.includes("Address already in use")) throw error;
      }
    }
  }

  private constructor(port: number, options: ServerOptions) {
    this.port = port;
    this.#options = options;
    this.dir = mkdtempSync(join(tmpdir(), "holdfast-redis-"));
    this.host = options.host ?? "127.0.0.1";
    this.certificates = options.tls === true ? makeCertificates(this.dir) : options.tls || undefined;
  }

  get url(): string {
    return `${this.certificates === undefined ? "redis" : "rediss"}://${this.place}`;
  }

  /** For URLs. */
  get place(): string {
    return `${this.host.includes(":") ? `[${this.host}]` : this.host}:${this.port}`;
  }

  get pid(): number {
    return this.#process!.pid!;
  }

  /** Started, and neither killed nor ended by itself. */
  get running(): boolean {
    const child = this.#process;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** A plain client for looking and arranging, as the default user. */
  get admin(): Redis {
    this.#admin ??= this.#newAdmin();
    return this.#admin;
  }

  /** Again after `kill`, on the same port and data; `more` lines of configuration hold for this start. */
  async start(ready = this.#options.ready ?? "loaded", more: ServerOptions["config"] = {}): Promise<void> {
    this.#log = "";
    const { sentinel, env } = this.#options;
    const file = join(this.dir, "sentinel.conf");
    if (sentinel === true) writeFileSync(file, this.#config(more));
    const args = sentinel === true ? [file, "--sentinel"] : ["-"];
    const child = spawn(binary, args, {
      cwd: this.dir,
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, ...env },
    });
    this.#process = child;
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("exit", () => process.removeListener("exit", kill));
    child.stdout.on("data", (chunk: Buffer) => (this.#log += chunk.toString()));
    child.stdin.end(this.#config(more));
    const sign = sentinel
      ? "Sentinel ID is"
      : ready === "loaded"
        ? "Ready to accept connections"
        : "Server initialized";
    await until(`redis-server on port ${this.port} is ${ready}`, () => {
      if (child.exitCode !== null) throw new Error(`redis-server ended: ${this.#log}`);
      return this.#log.includes(sign);
    });
  }

  /** kill -9, and wait until it is gone. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || !this.running) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  /** SIGSTOP: connections stay open, nothing is answered, and what comes in waits. */
  freeze(): void {
    this.#process!.kill("SIGSTOP");
  }

  thaw(): void {
    this.#process!.kill("SIGCONT");
  }

  /** Ends all connections but the admin's: whoever comes again says again who it is. */
  async cut(): Promise<void> {
    for (const type of ["normal", "pubsub"]) await this.admin.call("CLIENT", "KILL", "TYPE", type, "SKIPME", "yes");
  }

  async stop(): Promise<void> {
    this.#admin?.disconnect();
    await this.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #newAdmin(): Redis {
    const password = this.#options.config?.["requirepass"] as string | undefined;
    const admin = new Redis(this.url, {
      ...(password === undefined ? {} : { password }),
      ...(this.certificates === undefined ? {} : { tls: { ca: this.certificates.caText } }),
      retryStrategy: () => 20,
      protocol: 2,
    });
    admin.on("error", () => undefined); // It is killed and frozen on purpose; its calls fail themselves.
    return admin;
  }

  #config(more: ServerOptions["config"] = {}): string {
    const { certificates } = this;
    const listen =
      certificates === undefined
        ? { port: `${this.port}` }
        : {
            port: "0",
            "tls-port": `${this.port}`,
            "tls-cert-file": certificates.cert,
            "tls-key-file": certificates.key,
            "tls-ca-cert-file": certificates.ca,
            "tls-auth-clients": "no",
            // To other servers, too.
            "tls-replication": "yes",
          };
    const config = {
      bind: this.host,
      dir: this.dir,
      ...(this.#options.sentinel === true ? {} : { save: '""', "repl-diskless-sync-delay": "0" }),
      ...listen,
      ...this.#options.config,
      ...more,
    };
    return Object.entries(config)
      .flatMap(([name, value]) => [value].flat().map((one) => `${name} ${one}\n`))
      .join("");
  }
}

export async function freePort(highest = 65_535): Promise<number> {
  for (;;) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    if (port <= highest) return port;
  }
}

/** An authority of our own and a certificate for localhost and its addresses that it signed. */
export function makeCertificates(dir: string): Certificates {
  const file = (name: string) => join(dir, name);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: dir, stdio: "pipe" });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    "ca.key",
    "-out",
    "ca.crt",
    "-days",
    "2",
    "-subj",
    "/CN=test authority",
  );
  const names = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1";
  openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    "server.key",
    "-out",
    "server.crt",
    "-days",
    "2",
    "-subj",
    "/CN=localhost",
    "-addext",
    names,
    "-addext",
    "basicConstraints=critical,CA:FALSE",
    "-CA",
    "ca.crt",
    "-CAkey",
    "ca.key",
  );
  return {
    ca: file("ca.crt"),
    cert: file("server.crt"),
    key: file("server.key"),
    caText: readFileSync(file("ca.crt"), "utf8"),
  };
}
