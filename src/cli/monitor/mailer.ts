import { secretOf } from "../../ops/delivery/secret.js";
import type { Mailer } from "../../ops/index.js";

const patienceMs = 5_000;

/** One connection a mail: alerts are rare, and a connection that is kept is one that can be dead. */
export const mailer: Mailer = async (mail, channel) => {
  // Loaded only where somebody is written to.
  const { createTransport } = await import("nodemailer");
  const url = new URL(channel.server);
  const secure = url.protocol === "smtps:";
  const user = decodeURIComponent(url.username);
  const pass = await secretOf(channel.password, channel.passwordFile);
  const transport = createTransport({
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (secure ? 465 : 587) : Number(url.port),
    secure,
    requireTLS: !secure && !channel.plain,
    ...(user === "" ? {} : { auth: { user, pass: pass ?? "" } }),
    connectionTimeout: patienceMs,
    greetingTimeout: patienceMs,
    socketTimeout: patienceMs,
    dnsTimeout: patienceMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    await transport.sendMail({
      from: mail.from,
      to: [...mail.to],
      subject: mail.subject,
      text: mail.text,
      messageId: `<${mail.messageId}>`,
      headers: { ...mail.headers },
    });
  } finally {
    transport.close();
  }
};
