import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { invalidOption, shown } from "../core/errors.js";
import { resolve } from "../core/settings.js";
import type { Worker, WorkerHealth } from "../index.js";
import { type HealthServerOptions, healthServerSettings } from "./options.js";

/** A program whose worker is in one of these gets better by itself, or is on its way out: not worth a restart. */
const isAlive = ({ state }: WorkerHealth) => state !== "stuck";
const isReady = ({ state }: WorkerHealth) => state === "running";

const probes: Readonly<Record<string, (health: WorkerHealth) => boolean>> = { "/healthz": isAlive, "/readyz": isReady };

/** A probe asks again soon: no connection is kept for it, and none may be held open. */
const patienceMs = 5_000;

export interface HealthServer extends AsyncDisposable {
  /** Where it listens. */
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Tells whoever runs this program how its workers are. `/healthz` answers 200 unless one is stuck, so that a restart is
 * asked for only where it can help, and not because Redis is down; `/readyz` answers 200 while all of them work. The
 * body is their health as JSON. It keeps no process alive.
 *
 * @example
 * const server = await healthServer(worker, { port: 8080, host: "0.0.0.0" });
 * @throws OPTION_INVALID; the system's error when it cannot listen there
 */
export async function healthServer(
  workers: Pick<Worker, "health"> | readonly Pick<Worker, "health">[],
  options: HealthServerOptions = {},
): Promise<HealthServer> {
  const { port, host } = resolve(healthServerSettings, options, "healthServer");
  const all = [workers].flat();
  if (all.length === 0 || all.some((worker) => typeof worker?.health !== "function"))
    throw invalidOption("healthServer.workers", `must be a Worker or a list of them, got ${shown(workers)}`);
  const server = createServer({ requestTimeout: patienceMs, headersTimeout: patienceMs }, (request, response) => {
    const path = (request.url ?? "").replace(/\?.*$/s, "");
    const probe = Object.hasOwn(probes, path) ? probes[path]! : undefined;
    if (probe === undefined) return answer(response, 404, { problem: "there are /healthz and /readyz" });
    if (request.method !== "GET" && request.method !== "HEAD") return answer(response, 405, { problem: "only GET" });
    const healths = all.map((worker) => worker.health());
    return answer(response, healths.every(probe) ? 200 : 503, { workers: healths });
  });
  server.maxConnections = 64;
  await new Promise<void>((done, fail) => {
    server.once("error", fail);
    server.listen(port, host, () => {
      server.removeListener("error", fail);
      done();
    });
  });
  server.unref();
  const close = async () => {
    server.closeAllConnections();
    await new Promise<void>((done) => server.close(() => done()));
  };
  return { port: (server.address() as AddressInfo).port, close, [Symbol.asyncDispose]: close };
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    connection: "close",
  });
  response.end(`${JSON.stringify(body)}\n`);
}
