import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DisciplinedClock } from "./clock.js";

const startMs = Date.UTC(2026, 0, 1);

/** A clock, and a reference that is `offsetMs` ahead of this host's true time. */
function clockBeside(offsetMs: number, roundTripMs = 2) {
  const clock = new DisciplinedClock();
  let ahead = offsetMs;
  return {
    clock,
    look: () => clock.observe(Date.now() + ahead - roundTripMs / 2, roundTripMs),
    set ahead(ms: number) {
      ahead = ms;
    },
  };
}

describe("DisciplinedClock", () => {
  beforeEach(() => void vi.useFakeTimers({ now: startMs, toFake: ["Date", "performance"] }));
  afterEach(() => void vi.useRealTimers());

  it("starts from the wall clock and runs on the monotonic one", () => {
    const clock = new DisciplinedClock();
    expect(clock.nowMs()).toBe(startMs);

    vi.advanceTimersByTime(1_500);
    vi.setSystemTime(startMs + 3_600_000);

    expect(clock.nowMs()).toBe(startMs + 1_500);
  });

  it.each([3_600_000, -3_600_000, 700, -700])("takes the first reading over whole: %d ms", (offsetMs) => {
    const { clock, look } = clockBeside(offsetMs);
    clock.nowMs();

    look();

    expect(clock.nowMs() - startMs).toBe(offsetMs);
    expect(clock.offsetMs).toBe(offsetMs);
  });

  it("ignores a difference that the round trip explains", () => {
    const { clock, look } = clockBeside(40, 100);

    look();

    expect(clock.offsetMs).toBe(0);
  });

  it("slews after small differences, a quarter at each look", () => {
    const beside = clockBeside(0);
    beside.look();
    beside.ahead = 1_000;

    const offsets = Array.from({ length: 3 }, () => {
      beside.look();
      return beside.clock.offsetMs;
    });

    expect(offsets).toEqual([250, 437.5, 578.125]);
  });

  it("jumps forward when the reference is far ahead", () => {
    const beside = clockBeside(0);
    beside.look();

    beside.ahead = 10_000;
    beside.look();

    expect(beside.clock.nowMs() - startMs).toBe(10_000);
  });

  it("never runs backwards after the first reading, and comes down to the reference all the same", () => {
    const beside = clockBeside(0);
    beside.look();
    beside.ahead = -10_000;
    let last = beside.clock.nowMs();

    for (let step = 0; step < 200; step += 1) {
      vi.advanceTimersByTime(100);
      beside.look();
      const next = beside.clock.nowMs();
      expect(next).toBeGreaterThanOrEqual(last);
      last = next;
    }

    expect(Math.abs(last - (Date.now() - 10_000))).toBeLessThanOrEqual(3);
  });
});
