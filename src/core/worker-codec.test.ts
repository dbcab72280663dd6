import { describe, expect, it } from "vitest";
import { HoldfastError } from "./errors.js";
import { decodeRunning, decodeServer, encodeRunning, encodeServer } from "./worker-codec.js";

const hex = (text: string) => Buffer.from(text, "hex");
const startedAtNs = 1_700_000_000_123_456_789n;

/** Written by asynq's own encoder. */
const server = {
  bytes:
    "0a06686f73742d311092211a2430303030303030302d303030302d343030302d383030302d303030303030303030306161200a2a0b0a0764656661756c7410013a06616374697665420b0880e2cfaa0610959aef3a4802",
  record: {
    host: "host-1",
    pid: 4242,
    serverId: "00000000-0000-4000-8000-0000000000aa",
    concurrency: 10,
    queues: { default: 1 },
    strictPriority: false,
    status: "active",
    startedAtNs,
    activeWorkers: 2,
  },
};
const running = {
  bytes:
    "0a06686f73742d311092211a03736964220469642d312a01743201703a0764656661756c74420b0880e2cfaa0610959aef3a4a0b0888f0cfaa0610959aef3a",
  record: {
    host: "host-1",
    pid: 4242,
    serverId: "sid",
    taskId: "id-1",
    type: "t",
    payload: new Uint8Array(Buffer.from("p")),
    queue: "default",
    startedAtNs,
    deadlineNs: startedAtNs + 1_800_000_000_000n,
  },
};

describe("what workers say of themselves", () => {
  it("is written as Go writes it, byte for byte", () => {
    expect(encodeServer(server.record).toString("hex")).toBe(server.bytes);
    expect(encodeRunning(running.record).toString("hex")).toBe(running.bytes);
  });

  it("is read as Go wrote it", () => {
    expect(decodeServer(hex(server.bytes))).toEqual(server.record);
    const { payload, ...rest } = decodeRunning(hex(running.bytes));
    expect({ ...rest, payload: [...payload!] }).toEqual({ ...running.record, payload: [...running.record.payload] });
  });

  it("tells times before 1970, such as Go's zero, and strict priority, there and back", () => {
    const zero = -62_135_596_800n * 1_000_000_000n;
    const strict = { ...server.record, strictPriority: true, startedAtNs: zero };
    expect(encodeServer(strict).toString("hex")).toContain("420b088092b8c398feffffff01");
    expect(decodeServer(encodeServer(strict))).toMatchObject({ strictPriority: true, startedAtNs: zero });
  });

  it("tells times of any 64-bit second, as other programs may claim", () => {
    const late = 33_140_179_540_898_119n * 1_000_000_000n + 1n;
    expect(decodeServer(encodeServer({ ...server.record, startedAtNs: late })).startedAtNs).toBe(late);
  });

  it("tells an empty payload from one that was left out", () => {
    const payloadOf = (payload: Uint8Array | undefined) =>
      decodeRunning(encodeRunning({ ...running.record, payload })).payload;
    expect(payloadOf(new Uint8Array(0))).toHaveLength(0);
    expect(payloadOf(undefined)).toBeUndefined();
  });

  it("is refused where it makes no sense, and unknown fields are skipped", () => {
    expect(decodeServer(hex(`${server.bytes}a00601`)).host).toBe("host-1");
    for (const bytes of ["0aff", "0a02ffff", "80"]) {
      expect(() => decodeServer(hex(bytes))).toThrow(HoldfastError);
      expect(() => decodeRunning(hex(bytes))).toThrow(HoldfastError);
    }
  });
});
