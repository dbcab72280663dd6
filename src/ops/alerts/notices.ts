import type { Notification } from "../delivery/notification.js";

/** A notification on its way to channels: kept with its alert, so that it is neither lost nor sent twice. */
export interface Notice {
  readonly notification: Notification;
  /** Channels that have not taken it yet; never none. */
  readonly to: readonly Waiting[];
}

export interface Waiting {
  readonly channel: string;
  readonly attempts: number;
  readonly nextAtMs: number;
}

/** Of one alert, as JSON: half of what a document holds. When channels are away for long, the oldest are not told any more. */
const maxBytes = 32_768;

/** With one more, for these channels. */
export function withNotice(
  notices: readonly Notice[],
  notification: Notification,
  channels: readonly string[],
  nowMs: number,
): readonly Notice[] {
  if (channels.length === 0) return notices;
  const to = channels.map((channel) => ({ channel, attempts: 0, nextAtMs: nowMs }));
  const all = [...notices, { notification, to }];
  while (all.length > 1 && Buffer.byteLength(JSON.stringify(all)) > maxBytes) all.shift();
  return all;
}

/** After an attempt at one channel: what is left to do there, or nothing. */
export function afterAttempt(
  notices: readonly Notice[],
  id: string,
  channel: string,
  left: Waiting | undefined,
): readonly Notice[] {
  return notices.flatMap((notice) => {
    if (notice.notification.id !== id) return notice;
    const to = notice.to.flatMap((one) => (one.channel === channel ? (left ?? []) : one));
    return to.length === 0 ? [] : { ...notice, to };
  });
}

/** The first that each channel has not taken: those of one alert come to it in order. */
export function firstOfEach(notices: readonly Notice[]): { notification: Notification; waiting: Waiting }[] {
  const seen = new Set<string>();
  return notices.flatMap(({ notification, to }) =>
    to.flatMap((waiting) => {
      if (seen.has(waiting.channel)) return [];
      seen.add(waiting.channel);
      return { notification, waiting };
    }),
  );
}
