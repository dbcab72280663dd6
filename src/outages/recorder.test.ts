import { expect, it } from "vitest";
import { newTally, type OutageRecord } from "../broker/outage.js";
import { HoldfastError } from "../core/errors.js";
import { ProcessOutages } from "./recorder.js";

it("begins no outage with what is told after it was closed: a late call to a silent node, say", async () => {
  let nowMs = 1_800_000_000_000;
  const written: OutageRecord[] = [];
  const store = {
    writeOutages: async (records: readonly OutageRecord[]) => void written.push(...records),
    readOutages: async () => [],
  };
  const source = { label: "test", clock: { nowMs: () => nowMs }, tally: newTally(), ...store };
  const recorder = new ProcessOutages(source, store);
  const away = { broker: "test", problem: "silent", outcome: "unknown", taskIds: [] } as const;
  const fail = () => {
    recorder.failed(new HoldfastError("BROKER_UNAVAILABLE", away));
    // An outage that is shorter is not written down.
    nowMs += 2_000;
  };
  fail();
  await recorder.close();
  expect(written).toHaveLength(1);

  fail();
  recorder.changed({ kind: "restarted", problem: "", keptUntilMs: nowMs, appendOnly: true, incarnation: "one" });
  // Ends what is open.
  await recorder.close();

  expect(written).toHaveLength(1);
});
