import { describe, expect, it } from "vitest";
import { Replicas } from "./replicas.js";

const slave = (offset: number, state = "online", port = 7001) =>
  `ip=127.0.0.1,port=${port},state=${state},offset=${offset},lag=0`;
const info = (offset: number, ...slaves: readonly string[]) => ({
  master_repl_offset: String(offset),
  ...Object.fromEntries(slaves.map((one, n) => [`slave${n}`, one])),
});

describe("replicas", () => {
  it("have what was written before a look once they confirm as much as was written then", () => {
    const replicas = new Replicas(() => 60_000);

    expect(replicas.look("a", info(100, slave(90)), 1_000)).toBe(Number.NEGATIVE_INFINITY);
    expect(replicas.look("a", info(200, slave(100)), 2_000)).toBe(1_000);
    expect(replicas.look("a", info(300, slave(299)), 3_000)).toBe(2_000);
    expect(replicas.look("a", info(300, slave(300)), 4_000)).toBe(4_000);
  });

  it("have what the slowest has that follows; one that is still being sent the data does not", () => {
    const replicas = new Replicas(() => 60_000);
    replicas.look("a", info(100, slave(100)), 1_000);

    expect(replicas.look("a", info(200, slave(200), slave(100, "online", 7002)), 2_000)).toBe(1_000);
    const third = slave(0, "wait_bgsave", 7003);
    expect(replicas.look("a", info(200, slave(200), slave(200, "online", 7002), third), 3_000)).toBe(3_000);
  });

  it("have what one has that follows no more, until it can take over no more", () => {
    const replicas = new Replicas(() => 60_000);
    replicas.look("a", info(100, slave(100), slave(100, "online", 7002)), 1_000);

    expect(replicas.look("a", info(200, slave(200)), 2_000)).toBe(1_000);
    expect(replicas.look("a", info(300, slave(300)), 62_000)).toBe(1_000);
    expect(replicas.look("a", info(400, slave(400)), 62_001)).toBe(62_001);
    // It is back, and has most of it already.
    expect(replicas.look("a", info(500, slave(500), slave(450, "online", 7002)), 63_000)).toBe(62_001);
    expect(replicas.look("a", info(500, slave(500), slave(500, "online", 7002)), 64_000)).toBe(64_000);
  });

  it("that are away get nothing new, and when they are back what there was meanwhile", () => {
    const replicas = new Replicas(() => 60_000);
    replicas.look("a", info(100, slave(100)), 1_000);

    for (let atMs = 2_000; atMs < 10_000_000; atMs += 1_000) expect(replicas.look("a", info(atMs), atMs)).toBe(1_000);
    expect(replicas.look("a", info(20_000_000, slave(20_000_000)), 20_000_000)).toBeGreaterThan(1_000_000);
    expect(replicas.look("a", info(20_000_000, slave(20_000_000)), 20_001_000)).toBe(20_001_000);
  });

  it("that nobody has seen have nothing, and another server's are others", () => {
    const replicas = new Replicas(() => 60_000);
    replicas.look("a", info(100, slave(100)), 1_000);

    expect(replicas.look("b", info(100), 2_000)).toBeUndefined();
  });
});
