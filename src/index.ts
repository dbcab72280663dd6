/** The front door: every public name, by name, and nothing else. */
export { connect, type ConnectOptions, type SpoolOptions } from "./connect.js";
export type { SpoolOutcome } from "./broker/spool.js";
export { Client, type ClientCounters, type ClientHealth, type ClientOptions } from "./client/client.js";
export type { MaxPending, RateLimit } from "./client/limits.js";
export type { EndpointHealth } from "./client/endpoint.js";
export type { EnqueueOptions } from "./client/policy.js";
export { Worker, type WorkerCounters } from "./worker/worker.js";
export type { WorkerHealth } from "./worker/health.js";
export { Inspector, type CancelResult, type InspectorBroker, type UpdateResult } from "./inspector/inspector.js";
export type { MaintenanceBegun, MaintenanceEnded, QueueMaintenance, ReplicaState } from "./inspector/maintenance.js";
export type { FailedOver } from "./broker/standstill.js";
export { outageMarkdown } from "./inspector/outage-markdown.js";
export type { Outage, PerhapsDoubled, PossiblyLost } from "./inspector/outages.js";
export type { IdsMoved, StateMoved, TaskReceipt } from "./inspector/bulk.js";
export type {
  BulkOptions,
  BulkProgress,
  ByOptions,
  CancelOptions,
  DropOptions,
  FailOverOptions,
  InspectorOptions,
  ListOptions,
  MaintenanceOptions,
  OutageOptions,
  RunOptions,
} from "./inspector/options.js";
export type { TaskPage } from "./inspector/pages.js";
export type { Handler, HandlerOptions, Middleware, TaskContext } from "./worker/handlers.js";
export type { OnceOptions } from "./worker/effects.js";
export type { WorkerBroker, WorkerOptions } from "./worker/options.js";
export type { ScrubRule } from "./core/scrub.js";
export {
  defineTask,
  type DefinitionOptions,
  type TaskDefinition,
  type TaskOptions,
  type TaskRequest,
} from "./core/task.js";
export { type Codec, json, rawBytes } from "./core/payload.js";
export {
  asynqBackoff,
  exponential,
  type FailedAttempt,
  fixed,
  retryHorizonMs,
  type RetryPolicy,
} from "./core/retry.js";
export type { RetryBudget } from "./core/retry-budget.js";
export { RetryAfter, Revoke, SkipRetry } from "./core/steering.js";
export { type CallOutcome, type ErrorCode, type ErrorData, HoldfastError } from "./core/errors.js";
export type { QueueOption } from "./core/queues.js";
export type { Duration } from "./core/duration.js";
export type { Logger } from "./core/log.js";
export type { BrokerEvent, TaskEvent } from "./core/telemetry.js";
export type { Failure, Reason } from "./core/outcome.js";
export type { TaskState } from "./core/state.js";
export type {
  DayStats,
  Page,
  QueueInfo,
  RunningTask,
  Selection,
  StorageInfo,
  TaskInfo,
  WorkerInfo,
} from "./core/info.js";
export type { QueueList, UnavailableQueue } from "./core/queue-list.js";
export type { UnavailableWorker, WorkerList } from "./core/worker-list.js";
export { openSpools, type SpooledTaskInfo, type SpoolPart, type Spools } from "./embedded/spool/open-spools.js";
export type { EncryptionKey as SpoolKey } from "./core/encryption-key.js";
export type { Broker, EnqueueReceipt } from "./broker/broker.js";
