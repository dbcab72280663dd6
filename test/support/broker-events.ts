import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, beforeEach } from "vitest";
import type { BrokerEvent } from "../../src/core/telemetry.js";

/** What brokers tell during each test of a suite, by the name of the event. */
export function brokerEvents() {
  const events: BrokerEvent[] = [];
  const listener = (event: unknown) => void events.push(event as BrokerEvent);
  beforeEach(() => {
    events.length = 0;
    subscribe("holdfast.broker", listener);
  });
  afterEach(() => unsubscribe("holdfast.broker", listener));
  return <E extends BrokerEvent["event"]>(event: E) =>
    events.filter((one): one is Extract<BrokerEvent, { event: E }> => one.event === event);
}
