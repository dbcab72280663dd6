/** What is served over HTTP; apart, for most programs serve nothing. */
export { type HealthServer, healthServer } from "./health-server.js";
export type { HealthServerOptions } from "./options.js";
