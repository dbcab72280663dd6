import type { MailChannel } from "./channels.js";
import type { Notification } from "./notification.js";

/** An e-mail, as any library for SMTP can send it. */
export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  /** Without angle brackets. The same at every attempt. */
  readonly messageId: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Sends an e-mail. Rejects where not one of those whom it is for gets it. */
export type Mailer = (mail: Mail, channel: MailChannel) => Promise<void>;

/** All mails of one alert are a thread, wherever the first of them has gone. */
export function mailOf({ sender, to }: MailChannel, notification: Notification): Mail {
  const { id, key, environment, severity, event, rule, text } = notification;
  const [subject = ""] = text.split("\n");
  const domain = sender.slice(sender.lastIndexOf("@") + 1);
  return {
    from: sender,
    to,
    subject: `[${environment}] ${subject}`,
    text: `${text}\n`,
    messageId: `${id}@${domain}`,
    headers: {
      References: `<${key}@${domain}>`,
      "Auto-Submitted": "auto-generated",
      "X-Holdfast-Rule": rule,
      "X-Holdfast-Event": event,
      "X-Holdfast-Severity": severity,
      "X-Holdfast-Key": key,
    },
  };
}
