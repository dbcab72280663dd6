import type { TaskMessage } from "../../src/core/message.js";
import { message } from "./builders.js";

const id = (last: string) => `00000000-0000-4000-8000-00000000000${last}`;

/** Written by asynq's own encoder (Go, commit 785bb72) from the same inputs. */
export const goldenMessages: readonly (readonly [name: string, hex: string, message: TaskMessage])[] = [
  [
    "plain",
    "0a0a656d61696c3a73656e641a2430303030303030302d303030302d343030302d383030302d303030303030303030303031220764656661756c74281940880e",
    message({ type: "email:send", id: id("1"), maxRetry: 25, timeoutMs: 1_800_000 }),
  ],
  [
    "unique, with a deadline and retention",
    "0a0a656d61696c3a73656e64120e7b22757365725f6964223a34327d1a2430303030303030302d303030302d343030302d383030302d3030303030303030303030322208637269746963616c2803401e4880e2cfaa0652436173796e713a7b637269746963616c7d3a756e697175653a656d61696c3a73656e643a313138316638393330376661323731303732633039353734376435383133636360901c",
    message({
      type: "email:send",
      payload: Buffer.from('{"user_id":42}'),
      id: id("2"),
      queue: "critical",
      maxRetry: 3,
      timeoutMs: 30_000,
      deadlineMs: 1_700_000_000_000,
      uniqueKey: "asynq:{critical}:unique:email:send:1181f89307fa271072c095747d5813cc",
      retentionMs: 3_600_000,
    }),
  ],
  [
    "every field",
    "0a01741204000102ff1a0469642d31220171280a30023a08626f6f6d3a20c3a9403c48d8e6cfaa0652146173796e713a7b717d3a756e697175653a743a785881e2cfaa066080a30568ace4cfaa0672036772707a180a0b7472616365706172656e74120930302d6162632d3031",
    message({
      type: "t",
      payload: Buffer.from("000102ff", "hex"),
      id: "id-1",
      queue: "q",
      maxRetry: 10,
      retried: 2,
      lastError: "boom: é",
      lastFailedAtMs: 1_700_000_001_000,
      timeoutMs: 60_000,
      deadlineMs: 1_700_000_600_000,
      uniqueKey: "asynq:{q}:unique:t:x",
      group: "grp",
      retentionMs: 86_400_000,
      completedAtMs: 1_700_000_300_000,
      headers: { traceparent: "00-abc-01" },
    }),
  ],
  [
    "a header with an empty value",
    "0a01741a01692201717a050a016b1200",
    message({ type: "t", id: "i", queue: "q", maxRetry: 0, timeoutMs: 0, headers: { k: "" } }),
  ],
];
