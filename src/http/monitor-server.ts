import { invalidOption, shown } from "../core/errors.js";
import { resolve } from "../core/settings.js";
import type { Monitor } from "../ops/index.js";
import { type MonitorServerOptions, monitorServerSettings } from "./options.js";
import { serve, type Served } from "./serve.js";

export type MonitorServer = Served;

/**
 * Serves a monitor's `/metrics` to Prometheus, and `/healthz`: 200 while it runs, also when storage is away, for a restart
 * would not help. All scrapes share a look at storage. It keeps no process alive.
 *
 * @example
 * const server = await monitorServer(monitor, { port: 9464, host: "0.0.0.0" });
 * @throws OPTION_INVALID; the system's error when it cannot listen there
 */
export async function monitorServer(
  monitor: Pick<Monitor, "metrics" | "health">,
  options: MonitorServerOptions = {},
): Promise<MonitorServer> {
  const where = resolve(monitorServerSettings, options, "monitorServer");
  if (typeof monitor?.metrics !== "function")
    throw invalidOption("monitorServer.monitor", `must be a Monitor, got ${shown(monitor)}`);
  return serve(
    {
      "/metrics": async () => ({
        status: 200,
        body: await monitor.metrics(),
        type: "text/plain; version=0.0.4; charset=utf-8",
      }),
      "/healthz": () => {
        const health = monitor.health();
        return { status: health.state === "stopped" ? 503 : 200, body: health };
      },
    },
    where,
  );
}
