import type { DeliveryCounts } from "../delivery/delivery.js";
import { counter, type Family, gauge } from "./exposition.js";

interface Own {
  readonly storageUp: boolean;
  /** ms, by duty. */
  readonly failing: Readonly<Record<string, number>>;
  /** By severity. */
  readonly firing: ReadonlyMap<string, number>;
  readonly counts: ReadonlyMap<string, DeliveryCounts>;
  /** ms, by channel. */
  readonly undelivered: Readonly<Record<string, number>>;
}

/** What a monitor knows of itself, as metrics. */
export function ownFamilies({ storageUp, failing, firing, counts, undelivered }: Own): Family[] {
  const seconds = (all: Readonly<Record<string, number>>, label: string) =>
    Object.entries(all).map(([name, ms]) => ({ labels: { [label]: name }, value: ms / 1_000 }));
  return [
    gauge("holdfast_monitor_storage_up", "1 while storage answers.", [{ labels: {}, value: storageUp ? 1 : 0 }]),
    gauge(
      "holdfast_monitor_duty_failing_seconds",
      "How long a duty has failed without a break; 0 while it works.",
      seconds(failing, "duty"),
    ),
    gauge(
      "holdfast_alerts_firing",
      "Alerts that fire, by severity, in the monitor that judges them.",
      [...firing].map(([severity, value]) => ({ labels: { severity }, value })),
    ),
    counter(
      "holdfast_alert_notifications_total",
      "Attempts to deliver a notification, by result: sent, failed, given_up (counted as failed, too).",
      [...counts].flatMap(([channel, { sent, failed, givenUp }]) => [
        { labels: { channel, result: "sent" }, value: sent },
        { labels: { channel, result: "failed" }, value: failed },
        { labels: { channel, result: "given_up" }, value: givenUp },
      ]),
    ),
    gauge(
      "holdfast_alert_channel_failing_seconds",
      "How long a channel has taken nothing; 0 while it takes what it is sent.",
      seconds(undelivered, "channel"),
    ),
  ];
}
