import type { DocumentKind } from "../broker/documents.js";
import type { TaskState } from "../core/state.js";

/**
 * Every key by name. `asynq:` keys are asynq's (internal/base/base.go there), `holdfast:` keys ours. The braces are the
 * Cluster hash tag: all keys of a queue are on one slot. Scripts get the two prefixes of a queue and append the same
 * suffixes.
 */
export interface QueueKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export const keysOf = (queue: string): QueueKeys => ({ asynq: `asynq:{${queue}}:`, holdfast: `holdfast:{${queue}}:` });

/** Channel of bare task ids whose handlers are to be aborted. */
export const cancelChannel = "asynq:cancel";

/** SET of all queues' names. */
export const queuesKey = "asynq:queues";
/** STRING: the version of our keys and fields, for all queues. */
export const schemaKey = "holdfast:schema";
/** STRING: a mark that tells these data from others: gone with them (lua/mark.lua). */
export const dataKey = "holdfast:data";
/** The same for one node of a Cluster: the tag leads to a slot that it has. */
export const nodeDataKey = (tag: string) => `${dataKey}:{${tag}}`;
/** STREAM: what was done by hand to no queue, or to several. */
export const globalAuditKey = "holdfast:audit";
/** ZSET: the sealed chain, `hash record` by number; HASH: how far each log is sealed (`log:<queue>` → `id n`), and its `head`. */
export const sealedKey = "holdfast:audit:sealed";
export const sealedPlacesKey = "holdfast:audit:places";
/** HASH: what processes know of outages, by the records' ids, as JSON. */
export const outagesKey = "holdfast:outages";
/** HASH: small documents beside dead letters, by their ids, each "version JSON". */
export const documentsKey = (kind: DocumentKind) => `holdfast:dlq:${kind}`;

/** ZSETs: keys of processes that work, and of what they run, by the time at which they expire. */
export const serversKey = "asynq:servers";
export const workersKey = "asynq:workers";
/** ZSET: those of the first that are ours. */
export const ownServersKey = "holdfast:servers";
/** STRING: what a process says of itself; and HASH: the tasks it runs. Both expire. */
export const serverKey = (id: string) => `${serversKey}:{${id}}`;
export const runningKey = (id: string) => `${workersKey}:{${id}}`;

/** HASH: asynq's `msg`, `state`, `pending_since`, `unique_key`, `group`, `result`; ours `hf_…`. */
export const taskKey = (queue: string, id: string) => `${keysOf(queue).asynq}t:${id}`;

/** LIST of ids; the tail runs next. */
export const pendingKey = (queue: string) => `${keysOf(queue).asynq}pending`;
/** STRING: since when the queue is paused, Unix seconds; there is none while it is not. */
export const pausedKey = (queue: string) => `${keysOf(queue).asynq}paused`;
/** LIST of ids; the tail was leased first. */
export const activeKey = (queue: string) => `${keysOf(queue).asynq}active`;
/** ZSETs: id by the time to process. */
export const scheduledKey = (queue: string) => `${keysOf(queue).asynq}scheduled`;
export const retryKey = (queue: string) => `${keysOf(queue).asynq}retry`;
/** ZSET: id by the time of archiving. */
export const archivedKey = (queue: string) => `${keysOf(queue).asynq}archived`;
/** ZSET: id by the end of retention. */
export const completedKey = (queue: string) => `${keysOf(queue).asynq}completed`;
/** SET of groups' names. */
export const groupsKey = (queue: string) => `${keysOf(queue).asynq}groups`;
/** ZSET: id by the time it came to the group. */
export const groupKey = (queue: string, group: string) => `${keysOf(queue).asynq}g:${group}`;

/** ZSET, as asynq's: dead letters that its bounds would delete. */
export const archivedAsideKey = (queue: string) => `${keysOf(queue).holdfast}archived`;
/** HASH: dead letters that a policy has taken out of storage, by cause (broker/eviction.ts). */
export const evictedKey = (queue: string) => `${keysOf(queue).holdfast}evicted`;
/** HASH: how often attempts ended how: `["type","outcome","reason"]` → how many. */
export const outcomesKey = (queue: string) => `${keysOf(queue).holdfast}outcomes`;
/** ZSET: id of a discarded task by the time at which it is deleted; and HASH: the task. */
export const trashKey = (queue: string) => `${keysOf(queue).holdfast}trash`;
export const trashedKey = (queue: string, id: string) => `${trashKey(queue)}:${id}`;
/** LIST of ids: dead letters that are in no failure group yet; the tail waits longest. */
export const unindexedKey = (queue: string) => `${keysOf(queue).holdfast}unindexed`;
/** HASH: the failure groups of a queue: fingerprint → what is known of it, JSON. */
export const failureGroupsKey = (queue: string) => `${keysOf(queue).holdfast}fps`;
/** ZSET: a failure group's members: id by the time of archiving. */
export const groupMembersKey = (queue: string, fingerprint: string) => `${keysOf(queue).holdfast}fp:${fingerprint}`;
/** HASH: how many dead letters are in groups, and how far the walk that looks for others has come. */
export const indexKey = (queue: string) => `${keysOf(queue).holdfast}index`;
/** HASH: since when a queue is paused, who did it and why. */
export const pauseKey = (queue: string) => `${keysOf(queue).holdfast}pause`;
/** STRING: until when the queue stands still (ms), since when, who did it and why, with tabs between; expires with it. */
export const standstillKey = (queue: string) => `${keysOf(queue).holdfast}standstill`;
/** STREAM: what was done to the queue and its tasks by hand. */
export const auditKey = (queue: string) => `${keysOf(queue).holdfast}audit`;

/** HASH: what became of each task of a redrive; ZSETs: those left to move by the time they died, those awaited by the time of the next look; HASH: counts. */
export const redriveKey = (queue: string, redrive: string) => `${keysOf(queue).holdfast}redrive:${redrive}`;
export const redriveLeftKey = (queue: string, redrive: string) => `${keysOf(queue).holdfast}redrive-left:${redrive}`;
export const redriveAwaitedKey = (queue: string, redrive: string) =>
  `${keysOf(queue).holdfast}redrive-awaited:${redrive}`;
export const redriveCountsKey = (queue: string, redrive: string) =>
  `${keysOf(queue).holdfast}redrive-counts:${redrive}`;

/** LIST: a worker's last lease request and what it got; of a call for several queues, at the first. */
export const requestKey = (queue: string, workerId: string) => `${keysOf(queue).holdfast}req:${workerId}`;

/** STRING, for a minute: written behind a call that may change nothing, so that there is something to confirm; and to see whether a write is taken. */
export const barrierKey = (queue: string) => `${keysOf(queue).holdfast}barrier`;

/** Where the ids of a state are, in the order in which they are told; a group's name for `aggregating`. */
export const setsOf = {
  scheduled: (queue: string) => [scheduledKey(queue)],
  retry: (queue: string) => [retryKey(queue)],
  archived: (queue: string) => [archivedAsideKey(queue), archivedKey(queue)],
  completed: (queue: string) => [completedKey(queue)],
} satisfies Partial<Record<TaskState, (queue: string) => string[]>>;
