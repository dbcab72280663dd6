import { systemClock } from "../../core/clock.js";
import { invalidOption, shown } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import { silent } from "../../core/log.js";
import { runbookOf } from "../alerts/texts.js";
import { type MonitorConfig, resolveMonitorConfig } from "../monitor-config.js";
import { Delivery, problemOf } from "./delivery.js";
import type { Mailer } from "./mail.js";
import type { Notification } from "./notification.js";

/** What became of the two test notifications of a channel. */
export interface Delivered {
  readonly channel: string;
  /** Why not; undefined: both were taken. */
  readonly problem: string | undefined;
  /** The slower one, ms. */
  readonly tookMs: number;
}

/**
 * Sends each channel, or the one of that name, an alert that fires and its end, once and at once.
 * @throws OPTION_INVALID where there is no such channel, or none at all
 */
export async function testChannels(config: MonitorConfig, mailer?: Mailer, only?: string): Promise<Delivered[]> {
  const resolved = resolveMonitorConfig(config);
  const channels = resolved.channels.filter(({ name }) => only === undefined || name === only);
  if (channels.length === 0) {
    const names = resolved.channels.map(({ name }) => name).join(", ") || "none";
    throw invalidOption(
      "channels",
      `there is ${only === undefined ? "none" : `no ${shown(only)}`}; there are: ${names}`,
    );
  }
  const delivery = new Delivery(resolved, systemClock, silent, mailer);
  return Promise.all(
    channels.map(async (channel) => {
      let tookMs = 0;
      try {
        for (const over of [false, true]) {
          const begunMs = performance.now();
          await delivery.send(channel, testNotification(resolved.environment, resolved.runbooks, over));
          tookMs = Math.max(tookMs, performance.now() - begunMs);
        }
        return { channel: channel.name, problem: undefined, tookMs };
      } catch (error) {
        return { channel: channel.name, problem: problemOf(error), tookMs };
      }
    }),
  );
}

function testNotification(environment: string, runbooks: string | undefined, over: boolean): Notification {
  const nowMs = systemClock.nowMs();
  const at = new Date(nowMs).toISOString();
  const title = over ? "A test is over" : "A test: nothing is wrong";
  const runbook = runbookOf("NotificationsFailing", runbooks);
  return {
    version: 1,
    id: `msg_${newId(nowMs).replaceAll("-", "")}`,
    key: "test",
    event: over ? "resolved" : "test",
    environment,
    rule: "Test",
    severity: "info",
    labels: {},
    cause: "test",
    related: [],
    title,
    text: [`TEST [info] ${title}`, `Where: ${environment}`, "First: nothing", `Runbook: ${runbook}`].join("\n"),
    since: at,
    at,
    value: 0,
    threshold: null,
    firstAction: "nothing",
    runbook,
    dashboard: null,
  };
}
