import { bytes, Reader, Writer } from "./protobuf.js";

/** asynq's `asynq.ServerInfo`: a process that works. Times are Unix nanoseconds, which is what Go keeps. */
export interface ServerRecord {
  readonly host: string;
  readonly pid: number;
  readonly serverId: string;
  readonly concurrency: number;
  readonly queues: Readonly<Record<string, number>>;
  readonly strictPriority: boolean;
  /** "new", "active", "stopped" or "closed". */
  readonly status: string;
  readonly startedAtNs: bigint;
  readonly activeWorkers: number;
}

/** asynq's `asynq.WorkerInfo`: a task that a server runs. */
export interface RunningRecord {
  readonly host: string;
  readonly pid: number;
  readonly serverId: string;
  readonly taskId: string;
  readonly type: string;
  /** `undefined`: left out. */
  readonly payload: Uint8Array | undefined;
  readonly queue: string;
  readonly startedAtNs: bigint;
  readonly deadlineNs: bigint;
}

const server = {
  host: 1,
  pid: 2,
  serverId: 3,
  concurrency: 4,
  queues: 5,
  strictPriority: 6,
  status: 7,
  startedAt: 8,
  activeWorkers: 9,
} as const;

const running = {
  host: 1,
  pid: 2,
  serverId: 3,
  taskId: 4,
  type: 5,
  payload: 6,
  queue: 7,
  startedAt: 8,
  deadline: 9,
  /** Ours, which Go skips: there is a payload, and it is not here. */
  withoutPayload: 100,
} as const;

export function encodeServer(record: ServerRecord): Buffer {
  const writer = new Writer(256);
  writer.text(server.host, record.host);
  writer.integer(server.pid, record.pid);
  writer.text(server.serverId, record.serverId);
  writer.integer(server.concurrency, record.concurrency);
  for (const [name, weight] of Object.entries(record.queues)) {
    const entry = new Writer(64);
    entry.bytes(1, Buffer.from(name));
    entry.integer(2, weight);
    writer.bytes(server.queues, entry.finish());
  }
  writer.integer(server.strictPriority, Number(record.strictPriority));
  writer.text(server.status, record.status);
  writer.bytes(server.startedAt, timestamp(record.startedAtNs));
  writer.integer(server.activeWorkers, record.activeWorkers);
  return writer.finish();
}

/** @throws MESSAGE_INVALID */
export function decodeServer(stored: Uint8Array): ServerRecord {
  const reader = new Reader(stored);
  const record = {
    host: "",
    pid: 0,
    serverId: "",
    concurrency: 0,
    queues: Object.create(null) as Record<string, number>,
    strictPriority: false,
    status: "",
    startedAtNs: 0n,
    activeWorkers: 0,
  };
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (server.host << 3) | bytes:
        record.host = reader.text();
        break;
      case server.pid << 3:
        record.pid = reader.int32();
        break;
      case (server.serverId << 3) | bytes:
        record.serverId = reader.text();
        break;
      case server.concurrency << 3:
        record.concurrency = reader.int32();
        break;
      case (server.queues << 3) | bytes: {
        const [name, weight] = weightOf(reader.entry());
        record.queues[name] = weight;
        break;
      }
      case server.strictPriority << 3:
        record.strictPriority = reader.int32() !== 0;
        break;
      case (server.status << 3) | bytes:
        record.status = reader.text();
        break;
      case (server.startedAt << 3) | bytes:
        record.startedAtNs = timeOf(reader.entry());
        break;
      case server.activeWorkers << 3:
        record.activeWorkers = reader.int32();
        break;
      default:
        reader.skip(tag);
    }
  }
  return record;
}

export function encodeRunning(record: RunningRecord): Buffer {
  const { payload } = record;
  const writer = new Writer((payload?.length ?? 0) + 256);
  writer.text(running.host, record.host);
  writer.integer(running.pid, record.pid);
  writer.text(running.serverId, record.serverId);
  writer.text(running.taskId, record.taskId);
  writer.text(running.type, record.type);
  if (payload !== undefined && payload.length > 0) writer.bytes(running.payload, payload);
  writer.text(running.queue, record.queue);
  writer.bytes(running.startedAt, timestamp(record.startedAtNs));
  writer.bytes(running.deadline, timestamp(record.deadlineNs));
  if (payload === undefined) writer.flag(running.withoutPayload);
  return writer.finish();
}

/** @throws MESSAGE_INVALID */
export function decodeRunning(stored: Uint8Array): RunningRecord {
  const reader = new Reader(stored);
  const record = {
    host: "",
    pid: 0,
    serverId: "",
    taskId: "",
    type: "",
    payload: new Uint8Array(0) as Uint8Array | undefined,
    queue: "",
    startedAtNs: 0n,
    deadlineNs: 0n,
  };
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (running.host << 3) | bytes:
        record.host = reader.text();
        break;
      case running.pid << 3:
        record.pid = reader.int32();
        break;
      case (running.serverId << 3) | bytes:
        record.serverId = reader.text();
        break;
      case (running.taskId << 3) | bytes:
        record.taskId = reader.text();
        break;
      case (running.type << 3) | bytes:
        record.type = reader.text();
        break;
      case (running.payload << 3) | bytes:
        record.payload = reader.bytes();
        break;
      case (running.queue << 3) | bytes:
        record.queue = reader.text();
        break;
      case (running.startedAt << 3) | bytes:
        record.startedAtNs = timeOf(reader.entry());
        break;
      case (running.deadline << 3) | bytes:
        record.deadlineNs = timeOf(reader.entry());
        break;
      case running.withoutPayload << 3:
        reader.skip(tag);
        record.payload = undefined;
        break;
      default:
        reader.skip(tag);
    }
  }
  return record;
}

const perSecond = 1_000_000_000n;

function timestamp(ns: bigint): Buffer {
  const nanos = ((ns % perSecond) + perSecond) % perSecond;
  const writer = new Writer(24);
  writer.int64(1, (ns - nanos) / perSecond);
  writer.integer(2, Number(nanos));
  return writer.finish();
}

function timeOf(reader: Reader): bigint {
  let seconds = 0n;
  let nanos = 0n;
  while (reader.more()) {
    const tag = reader.tag();
    if (tag === 1 << 3) seconds = reader.int64();
    else if (tag === 2 << 3) nanos = reader.int64();
    else reader.skip(tag);
  }
  return seconds * perSecond + nanos;
}

function weightOf(reader: Reader): [name: string, weight: number] {
  let name = "";
  let weight = 0;
  while (reader.more()) {
    const tag = reader.tag();
    if (tag === ((1 << 3) | bytes)) name = reader.text();
    else if (tag === 2 << 3) weight = reader.int32();
    else reader.skip(tag);
  }
  return [name, weight];
}
