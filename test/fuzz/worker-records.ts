import { HoldfastError } from "../../src/core/errors.js";
import {
  decodeRunning,
  decodeServer,
  encodeRunning,
  encodeServer,
  type RunningRecord,
  type ServerRecord,
} from "../../src/core/worker-codec.js";
import type { Target } from "./fuzz.js";

const startedAtNs = 1_700_000_000_123_456_789n;
const process = { host: "host-1", pid: 4_242, serverId: "00000000-0000-4000-8000-0000000000aa" };
const server: ServerRecord = {
  ...process,
  concurrency: 10,
  queues: { default: 1, low: 3 },
  strictPriority: true,
  status: "active",
  startedAtNs,
  activeWorkers: 2,
};
const running: RunningRecord = {
  ...process,
  taskId: "id-1",
  type: "email:send",
  payload: Buffer.from("payload"),
  queue: "default",
  startedAtNs,
  deadlineNs: startedAtNs + 1_800_000_000_000n,
};

/** What other programs say of themselves: read, or refused with the typed error; what was read is written and read again. */
function recordTarget<T extends { readonly startedAtNs: bigint }>(
  name: string,
  records: readonly T[],
  encode: (record: T) => Buffer,
  decode: (bytes: Uint8Array) => T,
): Target {
  return {
    name,
    seeds: [...records.map(encode), Buffer.alloc(0)],
    input: (mutator) => mutator.next(),
    show: (bytes) => bytes.toString("hex"),
    try(bytes) {
      let read: T;
      try {
        read = decode(bytes);
      } catch (error) {
        if (!HoldfastError.is(error, "MESSAGE_INVALID")) throw error;
        if (error.data.offset > bytes.length) throw new Error("the offset is beyond the end", { cause: error });
        return "refused";
      }
      if (Object.keys(Object.prototype).length > 0) throw new Error("every object has a new property");
      const again = shown(decode(encode(read)));
      if (again !== shown(read)) throw new Error(`reads ${again} of what was ${shown(read)}`);
      return "taken";
    },
  };
}

const shown = (record: object) =>
  JSON.stringify(
    Object.entries(record).map(([name, value]) => [name, value instanceof Uint8Array ? [...value] : value]),
    (_, value: unknown) => (typeof value === "bigint" ? String(value) : value),
  );

export const recordTargets = [
  recordTarget("ServerInfo", [server], encodeServer, decodeServer),
  recordTarget("WorkerInfo", [running, { ...running, payload: undefined }], encodeRunning, decodeRunning),
];
