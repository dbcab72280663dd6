import { describe, expect, it } from "vitest";
import { settingsFor } from "./alerts/rule-settings.js";
import { type MonitorConfig, resolveMonitorConfig } from "./monitor-config.js";

/** As from a file: of any shape. */
const problemOf = (config: unknown): string => {
  try {
    resolveMonitorConfig(config as MonitorConfig);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
};

describe("the configuration of a monitor", () => {
  it("is usable when nothing is said", () => {
    const config = resolveMonitorConfig();

    expect(config).toMatchObject({ environment: "default", pollEveryMs: 5_000, channels: [] });
    expect(settingsFor(config, "DlqSizeHigh", { queue: "mail" })).toMatchObject({
      enabled: true,
      thresholds: { warning: 100, critical: 1_000 },
      forMs: 300_000,
    });
  });

  it("takes what was said of the queue, then of the rule, then what is usual", () => {
    const config = resolveMonitorConfig({
      rules: { DlqSizeHigh: { warning: 10, for: "1m" }, NoWorkers: { enabled: false } },
      queues: { billing: { DlqSizeHigh: { warning: 1, critical: null } } },
    });

    expect(settingsFor(config, "DlqSizeHigh", { queue: "mail" })).toMatchObject({
      thresholds: { warning: 10, critical: 1_000 },
      forMs: 60_000,
    });
    expect(settingsFor(config, "DlqSizeHigh", { queue: "billing" })).toMatchObject({
      thresholds: { warning: 1 },
      forMs: 60_000,
    });
    expect(settingsFor(config, "DlqSizeHigh", { queue: "billing" }).thresholds).not.toHaveProperty("critical");
    expect(settingsFor(config, "NoWorkers", { queue: "mail" }).enabled).toBe(false);
  });

  it("makes alerts of a type worse or better by how much depends on it", () => {
    const config = resolveMonitorConfig({
      types: { "invoice:charge": { criticality: "high" }, "feed:warm": { criticality: "low" } },
    });
    const thresholds = (type: string) => settingsFor(config, "TypeFailureRatio", { type }).thresholds;

    expect(thresholds("other")).toEqual({ warning: 0.2, critical: 0.5 });
    expect(thresholds("invoice:charge")).toEqual({ critical: 0.2 });
    expect(thresholds("feed:warm")).toEqual({ info: 0.2, warning: 0.5 });
  });

  it.each([
    [{ rules: { DlqBig: {} } }, /^monitor\.rules\.DlqBig: is no rule; there are DlqNotEmpty, /],
    [{ rules: { DlqSizeHigh: { warning: "10" } } }, /^monitor\.rules\.DlqSizeHigh\.warning: must be a whole number/],
    [{ rules: { DlqSizeHigh: { window: "5m" } } }, /^monitor\.rules\.DlqSizeHigh\.window: is not an option; there are/],
    [{ rules: { DlqOldestAge: { warning: 5 } } }, /^monitor\.rules\.DlqOldestAge\.warning: must be a duration/],
    [{ rules: { TypeFailureRatio: { critical: 2 } } }, /TypeFailureRatio\.critical: must be a share between 0 and 1/],
    [{ queues: { "a.b": { NoWorkers: { for: 3 } } } }, /^monitor\.queues\.a\.b\.NoWorkers\.for: must be a duration/],
    [{ types: { x: { criticality: "huge" } } }, /^monitor\.types\.x\.criticality: must be one of "low"/],
    [{ pollEvery: "1ms" }, /^monitor\.pollEvery: must be a duration, 50ms/],
    [{ nonsense: 1 }, /^monitor\.nonsense: is not an option; there are environment, .*channels/],
    [{ rules: [] }, /^monitor\.rules: must be an object, got an array/],
    [{ channels: {} }, /^monitor\.channels: must be a list/],
    [{ channels: [{ kind: "pager" }] }, /^monitor\.channels\[0\]\.kind: must be one of "webhook", "mail", got "pager"/],
    [{ channels: [{ kind: "webhook" }] }, /^monitor\.channels\[0\]\.url: must be given/],
    [{ channels: [{ kind: "webhook", url: "ftp://x" }] }, /^monitor\.channels\[0\]\.url: must be a URL that begins/],
    [{ channels: [{ kind: "webhook", url: "http://x", sekret: "s" }] }, /channels\[0\]\.sekret: is not an option/],
    [{ channels: [{ kind: "mail", server: "smtp://x", sender: "a@b", to: ["c"] }] }, /\.to\[0\]: must be an e-mail/],
    [
      { channels: ["a", "b"].map((path) => ({ kind: "webhook", url: `http://x/${path}` })) },
      /two channels have the name "webhook"/,
    ],
  ])("names the field that is wrong: %j", (config, problem) => {
    expect(problemOf(config)).toMatch(problem);
  });

  it("repeats no URL, for it may hold a token", () => {
    expect(problemOf({ channels: [{ kind: "webhook", url: "https://me:TOKEN@x/y" }] })).not.toContain("TOKEN");
  });
});
