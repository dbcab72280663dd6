import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Breaker, type BreakerState, type Sign } from "./breaker.js";
import { seed } from "../../test/support/seed.js";

fc.configureGlobal({ seed });

/** A breaker, a clock, and what it told. */
function rig(random = () => 0.5) {
  const told: string[] = [];
  let nowMs = 1_000_000;
  const breaker = new Breaker(() => told.push(`${breaker.state}: ${breaker.reason}`), random);
  return {
    breaker,
    told,
    now: () => nowMs,
    pass: (ms: number) => (nowMs += ms),
    /** A call that takes `ms`. */
    call(sign: Sign, ms = 10, problem: string = sign) {
      const startedAtMs = nowMs;
      nowMs += ms;
      breaker.heard(sign, problem, startedAtMs, nowMs);
    },
    /** Wait until it wants to be probed, and answer how long that was. */
    probe(sign: Sign, problem: string = sign) {
      const waitedMs = breaker.probeAtMs - nowMs;
      nowMs = Math.max(nowMs, breaker.probeAtMs);
      breaker.probing();
      breaker.probed(sign, problem, nowMs);
      return waitedMs;
    },
  };
}

describe("breaker", () => {
  it("opens after three calls in a row without an answer, and says why", () => {
    const r = rig();
    r.call("away");
    r.call("away");
    r.call("well");
    r.call("away");
    r.call("away");
    expect(r.breaker.state).toBe("closed");

    r.call("away", 10, "connection refused");

    expect(r.told).toEqual(["open: connection refused"]);
  });

  it("takes calls that failed side by side for one failure", () => {
    const r = rig();
    const startedAtMs = r.now();
    r.pass(50);

    for (let n = 0; n < 10; n++) r.breaker.heard("away", "reset", startedAtMs, r.now());

    expect(r.breaker.state).toBe("closed");
  });

  it("opens when half of twenty calls within five seconds got no answer", () => {
    const r = rig();
    for (let n = 0; n < 9; n++) {
      r.call("away", 50);
      r.call("well", 50);
    }
    r.call("well");
    expect(r.breaker.state).toBe("closed");

    r.call("away");

    expect(r.breaker.state).toBe("open");
  });

  it("has forgotten after five seconds", () => {
    const r = rig();
    for (let n = 0; n < 9; n++) {
      r.call("away", 25);
      r.call("well", 25);
    }
    r.pass(4_600);

    r.call("well");
    r.call("away");

    expect(r.breaker.state).toBe("closed");
  });

  it.each<Sign>(["well", "slow", "impaired"])("is never opened by calls that were answered (%s)", (sign) => {
    const r = rig();
    for (let n = 0; n < 1_000; n++) r.call(sign, 7);

    expect(r.told.filter((one) => one.startsWith("open"))).toEqual([]);
  });

  it("is degraded by one refusal to write, and closed by the next probe", () => {
    const r = rig();
    r.call("impaired", 10, "OOM");
    r.probe("well");

    expect(r.told).toEqual(["degraded: OOM", "closed: "]);
  });

  it("is degraded by answers that have come late for five seconds, not by a few", () => {
    const r = rig();
    for (let n = 0; n < 16; n++) r.call("slow", 300);
    expect(r.breaker.state).toBe("degraded");

    const quick = rig();
    for (let second = 0; second < 10; second++) {
      for (let n = 0; n < 199; n++) quick.call("well", 3);
      quick.call("slow", 300);
    }
    expect(quick.breaker.state).toBe("closed");
  });

  it("opens from degraded when storage goes away altogether, though nobody calls: probes tell", () => {
    const r = rig();
    r.call("impaired");
    for (let n = 0; n < 3; n++) r.probe("away");

    expect(r.told).toEqual(["degraded: impaired", "open: away"]);
  });

  it("is probed after 100 ms and then later and later, five seconds at most, until a probe is answered", () => {
    const r = rig();
    for (let n = 0; n < 3; n++) r.call("away");

    const waits = Array.from({ length: 9 }, () => r.probe("away"));
    r.probe("well");

    expect(waits.map(Math.round)).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
    expect(r.told.slice(0, 3)).toEqual(["open: away", "halfOpen: away", "open: away"]);
    expect(r.told.at(-1)).toBe("closed: ");
  });

  it("goes on backing off where it was when it had closed in vain", () => {
    const r = rig();
    r.call("impaired");
    const waits = Array.from({ length: 4 }, () => {
      const waited = r.probe("well");
      r.pass(6_000);
      r.call("impaired");
      return waited;
    });
    expect(waits.map(Math.round)).toEqual([100, 200, 400, 800]);

    r.probe("well");
    r.pass(20_000);
    r.call("impaired");
    expect(Math.round(r.probe("well"))).toBe(100);
  });

  it.each<[Sign, number, string[]]>([
    ["impaired", 1, ["closed: ", "degraded: impaired"]],
    ["away", 3, ["closed: ", "open: away", "halfOpen: away", "degraded: it is there again, and was so a moment ago"]],
  ])("does not flap: it closes once in five seconds, though every probe is answered (%s)", (sign, calls, once) => {
    const r = rig();
    const beganAtMs = r.now();
    const closedAtMs: number[] = [];
    while (r.now() < beganAtMs + 30_000) {
      for (let n = 0; n < calls && r.breaker.state === "closed"; n++) r.call(sign, 1);
      r.probe("well");
      if (r.breaker.state === "closed") closedAtMs.push(r.now());
    }

    const apartMs = closedAtMs.slice(1).map((atMs, n) => atMs - closedAtMs[n]!);
    expect(Math.min(...apartMs)).toBeGreaterThanOrEqual(5_000);
    expect(Math.max(...apartMs)).toBeLessThanOrEqual(10_000);
    const from = r.told.indexOf("closed: ");
    expect(r.told.slice(from, from + once.length)).toEqual(once);
  });

  it("does not hear what calls tell that were sent before it opened", () => {
    const r = rig();
    for (let n = 0; n < 3; n++) r.call("away");
    r.call("well");
    expect(r.breaker.state).toBe("open");

    r.breaker.probing();
    for (let n = 0; n < 3; n++) r.call("away");
    expect(r.breaker.state).toBe("halfOpen");
  });

  it("starts afresh when it has closed", () => {
    const r = rig();
    for (let n = 0; n < 10; n++) {
      r.call("well", 5);
      r.call("away", 5);
    }
    expect(r.breaker.state).toBe("open");
    r.probe("well");

    r.call("away");
    r.call("away");

    expect(r.breaker.state).toBe("closed");
  });

  it("is half open while a probe is under way, and degraded by one that is answered with a refusal", () => {
    const r = rig();
    for (let n = 0; n < 3; n++) r.call("away");

    r.breaker.probing();
    expect([r.breaker.state, r.breaker.probeAtMs]).toEqual(["halfOpen", Number.POSITIVE_INFINITY]);
    r.breaker.probed("impaired", "LOADING", r.now());

    expect(r.told.at(-1)).toBe("degraded: LOADING");
  });

  it("spreads probes by 30 per cent", () => {
    const earliest = rig(() => 0);
    const latest = rig(() => 0.999_999);
    for (let n = 0; n < 3; n++) {
      earliest.call("away");
      latest.call("away");
    }

    expect([earliest, latest].map((r) => Math.round(r.breaker.probeAtMs - r.now()))).toEqual([70, 130]);
  });
});

type Step =
  | { readonly kind: "call"; readonly sign: Sign; readonly ms: number; readonly pauseMs: number }
  | { readonly kind: "probe"; readonly sign: Sign; readonly ms: number };

const sign = fc.constantFrom<Sign>("well", "well", "slow", "impaired", "away", "away");
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("call" as const),
    sign,
    ms: fc.integer({ min: 0, max: 3_000 }),
    pauseMs: fc.integer({ min: 0, max: 400 }),
  }),
  fc.record({ kind: fc.constant("probe" as const), sign, ms: fc.integer({ min: 0, max: 2_000 }) }),
);

/** The same by definition, from all that has been heard since the state changed last. */
class Model {
  state: BreakerState = "closed";
  #heard: { readonly sign: Sign; readonly startedAtMs: number; readonly atMs: number; readonly probe: boolean }[] = [];
  /** Before this, calls belong to a strike that was counted already. */
  #fromMs = Number.NEGATIVE_INFINITY;
  #closedAtMs = Number.NEGATIVE_INFINITY;

  hear(heard: Sign, startedAtMs: number, atMs: number, probe = false): void {
    this.#heard.push({ sign: heard, startedAtMs, atMs, probe });
    if (heard === "away" && (this.#strikes() >= 3 || (!probe && this.#mostlyAway(atMs)))) this.#become("open");
    else if (this.state === "closed" && heard === "impaired") this.#become("degraded");
    else if (this.state === "closed" && heard === "slow" && this.#late(atMs)) this.#become("degraded");
  }

  probed(heard: Sign, atMs: number): void {
    if (heard === "well") {
      const closes = atMs >= this.#closedAtMs + 5_000;
      if (closes) this.#closedAtMs = atMs;
      if (closes || this.state === "open") this.#become(closes ? "closed" : "degraded");
    } else if (this.state === "open") this.#become(heard === "away" ? "open" : "degraded");
    else if (heard === "away") this.hear("away", atMs, atMs, true);
  }

  #become(state: BreakerState): void {
    if (state === this.state) return;
    this.#strikes((ms) => (this.#fromMs = ms));
    this.state = state;
    this.#heard = [];
  }

  #strikes(each: (ms: number) => void = () => {}): number {
    let [strikes, fromMs] = [0, this.#fromMs];
    for (const one of this.#heard) {
      if (one.sign !== "away") strikes = 0;
      else if (one.startedAtMs >= fromMs) {
        strikes += 1;
        fromMs = one.atMs;
        each(fromMs);
      }
    }
    return strikes;
  }

  #recent(atMs: number) {
    return this.#heard.filter((one) => !one.probe && Math.floor(one.atMs / 1_000) > Math.floor(atMs / 1_000) - 5);
  }

  #mostlyAway(atMs: number): boolean {
    const recent = this.#recent(atMs);
    return recent.length >= 20 && recent.filter((one) => one.sign === "away").length >= recent.length / 2;
  }

  #late(atMs: number): boolean {
    return [0, 1, 2, 3, 4].every((ago) => {
      const second = Math.floor(atMs / 1_000) - ago;
      const calls = this.#recent(atMs).filter((one) => Math.floor(one.atMs / 1_000) === second);
      return calls.length > 0 && calls.filter((one) => one.sign === "slow").length > calls.length / 100;
    });
  }
}

describe("breaker, whatever comes", () => {
  it("is in the state that its definition says, and is always on its way back", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const r = rig();
        const model = new Model();
        for (const one of steps) {
          if (one.kind === "call") {
            // Nobody calls while it is open; calls overlap, for the clock goes on by less than they take.
            if (r.breaker.state === "open") continue;
            r.pass(one.pauseMs);
            r.breaker.heard(one.sign, one.sign, r.now() - one.ms, r.now());
            model.hear(one.sign, r.now() - one.ms, r.now());
          } else if (r.breaker.state !== "closed") {
            expect(r.breaker.probeAtMs - r.now()).toBeLessThanOrEqual(5_000 * 1.3);
            r.pass(Math.max(0, r.breaker.probeAtMs - r.now()));
            r.breaker.probing();
            expect(r.breaker.state).toBe(model.state === "open" ? "halfOpen" : model.state);
            r.pass(one.ms);
            r.breaker.probed(one.sign, one.sign, r.now());
            model.probed(one.sign, r.now());
          }
          expect(r.breaker.state).toBe(model.state);
          expect(Number.isFinite(r.breaker.probeAtMs)).toBe(r.breaker.state !== "closed");
        }
      }),
      { numRuns: 500 },
    );
  });
});
