import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DataWatch } from "./data-watch.js";

describe("DataWatch", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function watched() {
    const looks = { whole: 0, quick: 0, told: false };
    const watch = new DataWatch({
      whole: async () => {
        looks.whole++;
        return looks.told;
      },
      quick: async () => {
        looks.quick++;
        return true;
      },
    });
    return { watch, looks };
  }
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

  it("looks less and less often where nothing can be told, and ends that for good", async () => {
    const { watch, looks } = watched();
    watch.changed();
    await pass(60_000);
    expect(looks.whole).toBe(6);

    // Each call to a replica makes a connection.
    for (let minute = 0; minute < 10; minute++) {
      watch.changed();
      await pass(60_000);
    }
    expect(looks.whole).toBe(16);

    await pass(2 * 3_600_000);
    expect(looks.whole).toBe(60);
    for (let use = 0; use < 10; use++) {
      watch.used();
      await pass(10_000);
    }
    expect(looks).toMatchObject({ whole: 60, quick: 10 });

    looks.told = true;
    watch.changed();
    await pass(3_600_000);
    expect(looks.whole).toBe(61);
  });

  it("looks again soon when it could be told before", async () => {
    const { watch, looks } = watched();
    watch.changed();
    await pass(31_000);
    expect(looks.whole).toBe(6);
    looks.told = true;
    await pass(32_000);
    expect(looks.whole).toBe(7);

    looks.told = false;
    watch.changed();
    await pass(1_000);
    expect(looks.whole).toBe(9);
  });

  it("closes at once while it waits", async () => {
    const { watch, looks } = watched();
    watch.changed();
    await pass(7_000);

    await watch.close();

    await pass(60_000);
    expect(looks.whole).toBe(4);
  });
});
