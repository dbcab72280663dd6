/** What is served over HTTP; apart, for most programs serve nothing. */
export { type HealthServer, healthServer } from "./health-server.js";
export { type MonitorServer, monitorServer } from "./monitor-server.js";
export type { HealthServerOptions, MonitorServerOptions } from "./options.js";
