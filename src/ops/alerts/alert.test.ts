import { describe, expect, it } from "vitest";
import { type Alert, type AlertEvent, dedupeKey, step } from "./alert.js";
import type { RuleSettings } from "./rule.js";
import { ruleOf } from "./rules.js";

const rule = ruleOf("DlqSizeHigh");
const settings: RuleSettings = { ...rule.defaults, forMs: 300, keepFiringMs: 500 };
const fresh: Alert = { rule: "DlqSizeHigh", labels: { queue: "mail" }, since: {}, value: 0 };

/** Looks at a value every 100 ms, stored as JSON in between as a monitor does it; answers what was told, and when. */
function lookAt(values: readonly (number | undefined)[], how: Partial<RuleSettings> = {}, repeatMs = 1e9) {
  let alert: Alert | undefined = fresh;
  const told: [number, AlertEvent, string][] = [];
  for (const [n, value] of values.entries()) {
    const before = JSON.parse(JSON.stringify(alert ?? fresh)) as Alert;
    const { alert: next, event } = step(before, value, rule, { ...settings, ...how }, { nowMs: n * 100, repeatMs });
    const severity = (next?.firing ?? before.firing)?.severity ?? "none";
    if (event !== undefined) told.push([n * 100, event, severity]);
    alert = next;
  }
  return { told, alert };
}
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

describe("an alert", () => {
  it("fires once its condition has held for long enough, and is told once", () => {
    expect(lookAt(times(10, 101)).told).toEqual([[300, "firing", "warning"]]);
    expect(lookAt(times(10, 100)).alert).toBeUndefined();
  });

  it("tells how bad it was when it began, while it has not held for long enough", () => {
    expect(lookAt([100, 101, 150]).alert).toMatchObject({ value: 101, since: { warning: 100 } });
  });

  it("begins anew when the condition was over in between", () => {
    expect(lookAt([101, 101, 101, 100, 101, 101, 101]).told).toEqual([]);
  });

  it("gets worse at once when the worse condition has held for long enough", () => {
    expect(lookAt([101, 1_001, 1_001, 1_001, 1_001]).told).toEqual([
      [300, "firing", "warning"],
      [400, "escalated", "critical"],
    ]);
  });

  it("is over only when it has been over for a while, and well on the other side", () => {
    const swinging = [...times(4, 101), 99, 101, 90, 101, 81, 81, 81, 81, 81, 81, 81];
    expect(lookAt(swinging).told).toEqual([[300, "firing", "warning"]]);
    const { told, alert } = lookAt([...times(4, 101), ...times(8, 80)]);
    expect(told.at(-1)).toEqual([900, "resolved", "warning"]);
    expect(alert).toMatchObject({ resolvedAtMs: 900, since: {} });
    expect(alert?.firing).toBeUndefined();
  });

  it("holds on while the value cannot be told, and is nothing where it never could", () => {
    expect(lookAt([...times(4, 101), ...times(20, undefined)]).told).toEqual([[300, "firing", "warning"]]);
    expect(lookAt(times(20, undefined)).alert).toBeUndefined();
  });

  it("is told again after a while", () => {
    expect(lookAt(times(10, 101), {}, 400).told).toEqual([
      [300, "firing", "warning"],
      [700, "repeated", "warning"],
    ]);
  });

  it("ends at once where its rule is switched off", () => {
    const firing = lookAt(times(5, 101)).alert!;
    const off = { ...settings, enabled: false };
    expect(step(firing, 101, rule, off, { nowMs: 500, repeatMs: 1e9 }).event).toBe("resolved");
  });

  it("fires below a threshold where less is worse", () => {
    const overflow = ruleOf("DlqOverflowSoon");
    const at = (value: number, before: Alert, nowMs: number) =>
      step(before, value, overflow, { ...overflow.defaults, forMs: 0 }, { nowMs, repeatMs: 1e9 });
    const before: Alert = { rule: "DlqOverflowSoon", labels: { queue: "mail" }, since: {}, value: 0 };

    expect(at(7 * 3_600, before, 0).event).toBeUndefined();
    const { alert, event } = at(3_599, before, 0);
    expect([event, alert?.firing?.severity]).toEqual(["firing", "critical"]);
    // 3,600 s / 0.8: until there it is no better than before.
    expect(at(4_000, alert!, 1).alert?.firing?.severity).toBe("critical");
    expect(at(5_000, alert!, 1).alert?.firing?.severity).toBe("warning");
  });
});

describe("the key of an alert", () => {
  it("is the same in every process, for the same thing alone", () => {
    const key = dedupeKey("production", "DlqSizeHigh", { queue: "mail", type: "x" });

    expect(key).toBe("8eb8364ee755a5b5b561c5a57addd324");
    expect(dedupeKey("production", "DlqSizeHigh", { type: "x", queue: "mail" })).toBe(key);
    expect(dedupeKey("staging", "DlqSizeHigh", { queue: "mail", type: "x" })).not.toBe(key);
    expect(dedupeKey("production", "DlqSizeHigh", { queue: "mail", type: "y" })).not.toBe(key);
  });
});
