import { afterAll, beforeAll, expect, it } from "vitest";
import { besiege, type Peer } from "../../hostile/siege.js";
import { goShift } from "./go-shift.js";
import { Remains } from "./go-reader.js";
import { buildTimeoutMs, describeGo } from "./programs.js";
import { Site } from "./site.js";
import { seed } from "../../support/seed.js";

/** In so many key spaces a server of Go works: each takes it half a second. All of them are read by Go (test/hostile). */
const shifts = Number(process.env["SHIFTS"] ?? 5);

describeGo("what is left of a hostile key space", () => {
  let site: Site;
  beforeAll(async () => {
    site = await Site.open();
  }, buildTimeoutMs);
  afterAll(() => site.close());

  it(
    "is worked on by a server of Go: it recovers, forwards and forgets, and has nothing to complain of",
    async () => {
      let worked = 0;
      const peer: Peer = async ({ queue }, before, left) => {
        if (!new Remains(queue, before, left).isCounted(17)) return [];
        worked += 1;
        return goShift(site.broker, site.go, site.server.admin, [queue, "good"]);
      };

      for (let n = 0; worked < shifts; n += 1) await besiege(site.server.admin, site.broker, seed + n, peer);

      expect(worked).toBe(shifts);
    },
    Math.max(120_000, shifts * 2_500),
  );
});
