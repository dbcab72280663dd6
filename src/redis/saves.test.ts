import { describe, expect, it } from "vitest";
import { Saves } from "./saves.js";

const info = (endedS: number, runsS = -1) => ({
  rdb_last_save_time: String(endedS),
  rdb_bgsave_in_progress: runsS < 0 ? "0" : "1",
  rdb_current_bgsave_time_sec: String(runsS),
  // Of one that failed at once.
  rdb_last_bgsave_time_sec: "0",
});

describe("a server's snapshots", () => {
  it("have what was written before the look that found none under way", () => {
    const saves = new Saves();

    expect(saves.look("a", info(100), 200_000)).toBeUndefined();
    expect(saves.look("a", info(100), 201_000)).toBeUndefined();
    expect(saves.look("a", info(202), 203_000)).toBe(201_000);
    expect(saves.look("a", info(202), 204_000)).toBe(201_000);
  });

  it("have what was written before the one began that was under way, whatever took how long afterwards", () => {
    const saves = new Saves();
    saves.look("a", info(100), 200_000);
    saves.look("a", info(100, 30), 260_500);

    expect(saves.look("a", info(270), 271_000)).toBe(229_500);
    expect(saves.look("a", info(270, 0), 272_000)).toBe(229_500);
    expect(saves.look("a", info(270), 273_000)).toBe(229_500);
  });

  it("are told by the latest look", () => {
    const saves = new Saves();
    saves.look("a", info(100), 200_000);
    saves.look("a", info(201), 202_000);

    expect(saves.look("a", info(100), 200_500)).toBe(200_000);
    expect(saves.look("a", info(201), 203_000)).toBe(200_000);
  });

  it("are each server's own, and nothing is known of one that was just met", () => {
    const saves = new Saves();
    saves.look("a", info(100), 200_000);

    expect(saves.look("b", info(201), 202_000)).toBeUndefined();
    expect(saves.look("a", {}, 202_000)).toBeUndefined();
  });
});
