import { describe, expect, it } from "vitest";
import { idTimeMs, newId } from "./ids.js";

// Ids never go back in time, so each test begins later than the one before.
const startMs = Date.UTC(2030, 0, 1);

describe("newId", () => {
  it("lays the bits out as RFC 9562 says for version 7", () => {
    const id = newId(startMs);

    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toBe(startMs);
    expect(idTimeMs(id)).toBe(startMs);
  });

  it("makes a million ids, each larger than the one before, so that none is there twice", () => {
    let last = "";
    for (let made = 0; made < 1_000_000; made += 1) {
      const id = newId(startMs + 1_000 + Math.floor(made / 10_000));
      if (id <= last) throw new Error(`${id} after ${last}`);
      last = id;
    }
    // 4,096 ids fit into a millisecond: the clock is run ahead rather than an id repeated.
    expect(idTimeMs(last)).toBeGreaterThanOrEqual(startMs + 1_000 + 243);
  }, 60_000);

  it("goes on upwards when the clock steps back", () => {
    const before = newId(startMs + 60_000);
    const after = newId(startMs);

    expect(after > before).toBe(true);
  });

  it("draws the last 62 bits by chance", () => {
    const tails = new Set(Array.from({ length: 2_000 }, () => newId(startMs + 120_000).slice(19)));

    expect(tails.size).toBe(2_000);
    expect(new Set([...tails].map((tail) => tail[0])).size).toBe(4);
  });
});

describe("idTimeMs", () => {
  it.each([
    ["", "abc", "00000000-0000-4000-8000-000000000001", "order-42"],
    ["017F22E2-79B0-7CC3-98C4-DC0C0C07398F", "017f22e2-79b0-7cc3-18c4-dc0c0c07398f"],
    ["017f22e2-79b0-7cc3-98c4-dc0c0c07398f0", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f\n"],
  ])("knows no time of ids of another kind", (...others) => {
    expect(others.map(idTimeMs)).toEqual(others.map(() => undefined));
  });

  it("reads the example of RFC 9562, appendix A.6", () => {
    expect(idTimeMs("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")).toBe(0x017f22e279b0);
  });
});
