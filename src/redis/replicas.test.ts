import { describe, expect, it } from "vitest";
import { Replicas } from "./replicas.js";

const slave = (offset: number, state = "online") => `ip=127.0.0.1,port=7001,state=${state},offset=${offset},lag=0`;
const info = (offset: number, ...slaves: readonly string[]) => ({
  master_repl_offset: String(offset),
  ...Object.fromEntries(slaves.map((one, n) => [`slave${n}`, one])),
});

describe("replicas", () => {
  it("have what was written before a look once they confirm as much as was written then", () => {
    const replicas = new Replicas();

    expect(replicas.look("a", info(100, slave(90)), 1_000)).toBe(Number.NEGATIVE_INFINITY);
    expect(replicas.look("a", info(200, slave(100)), 2_000)).toBe(1_000);
    expect(replicas.look("a", info(300, slave(299)), 3_000)).toBe(2_000);
    expect(replicas.look("a", info(300, slave(300)), 4_000)).toBe(4_000);
  });

  it("have what the slowest has that follows; one that is still being sent the data does not", () => {
    const replicas = new Replicas();
    replicas.look("a", info(100, slave(100)), 1_000);

    expect(replicas.look("a", info(200, slave(200), slave(100)), 2_000)).toBe(1_000);
    expect(replicas.look("a", info(200, slave(200), slave(0, "wait_bgsave")), 3_000)).toBe(3_000);
  });

  it("that are away get nothing new, and when they are back what there was meanwhile", () => {
    const replicas = new Replicas();
    replicas.look("a", info(100, slave(100)), 1_000);

    for (let atMs = 2_000; atMs < 10_000_000; atMs += 1_000) expect(replicas.look("a", info(atMs), atMs)).toBe(1_000);
    expect(replicas.look("a", info(20_000_000, slave(20_000_000)), 20_000_000)).toBeGreaterThan(1_000_000);
    expect(replicas.look("a", info(20_000_000, slave(20_000_000)), 20_001_000)).toBe(20_001_000);
  });

  it("that nobody has seen have nothing, and another server's are others", () => {
    const replicas = new Replicas();
    replicas.look("a", info(100, slave(100)), 1_000);

    expect(replicas.look("b", info(100), 2_000)).toBeUndefined();
  });
});
