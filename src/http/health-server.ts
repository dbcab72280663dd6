import { invalidOption, shown } from "../core/errors.js";
import { resolve } from "../core/settings.js";
import type { Worker, WorkerHealth } from "../index.js";
import { type HealthServerOptions, healthServerSettings } from "./options.js";
import { serve, type Served } from "./serve.js";

/** A program whose worker is in one of these gets better by itself, or is on its way out: not worth a restart. */
const isAlive = ({ state }: WorkerHealth) => state !== "stuck";
const isReady = ({ state }: WorkerHealth) => state === "running";

export type HealthServer = Served;

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
  const where = resolve(healthServerSettings, options, "healthServer");
  const all = [workers].flat();
  if (all.length === 0 || all.some((worker) => typeof worker?.health !== "function"))
    throw invalidOption("healthServer.workers", `must be a Worker or a list of them, got ${shown(workers)}`);
  const probe = (isWell: (health: WorkerHealth) => boolean) => () => {
    const healths = all.map((worker) => worker.health());
    return { status: healths.every(isWell) ? 200 : 503, body: { workers: healths } };
  };
  return serve({ "/healthz": probe(isAlive), "/readyz": probe(isReady) }, where);
}
