import protobuf from "protobufjs";
import type { TaskMessage } from "../../src/core/message.js";

/** asynq's messages as protobufjs reads and writes them: an implementation that is none of ours. */
const schema = protobuf.parse(`
  syntax = "proto3";
  package asynq;
  message TaskMessage {
    string type = 1;
    bytes payload = 2;
    string id = 3;
    string queue = 4;
    int32 retry = 5;
    int32 retried = 6;
    string error_msg = 7;
    int64 timeout = 8;
    int64 deadline = 9;
    string unique_key = 10;
    int64 last_failed_at = 11;
    int64 retention = 12;
    int64 completed_at = 13;
    string group_key = 14;
    map<string, string> headers = 15;
  }`);
export const taskMessageType = schema.root.lookupType("asynq.TaskMessage");

/** A message as protobufjs has it, with its names and its seconds. */
export const referenceFields = (one: TaskMessage) => ({
  type: one.type,
  payload: one.payload,
  id: one.id,
  queue: one.queue,
  retry: one.maxRetry,
  retried: one.retried,
  errorMsg: one.lastError,
  timeout: one.timeoutMs / 1_000,
  deadline: one.deadlineMs / 1_000,
  uniqueKey: one.uniqueKey,
  lastFailedAt: one.lastFailedAtMs / 1_000,
  retention: one.retentionMs / 1_000,
  completedAt: one.completedAtMs / 1_000,
  groupKey: one.group,
  headers: { ...one.headers },
});

export const referenceDecode = (bytes: Uint8Array) =>
  taskMessageType.toObject(taskMessageType.decode(bytes), {
    longs: Number,
    defaults: true,
    objects: true,
    arrays: true,
  });
