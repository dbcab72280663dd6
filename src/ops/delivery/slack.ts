import type { Notification } from "./notification.js";

const colours = { info: "#439fe0", warning: "#daa038", critical: "#a30200" } as const;
const resolvedColour = "#2eb886";

/** As Slack's incoming webhooks take it, and Mattermost's, and others' that follow them. */
export function slackBody({ event, severity, title, text, key }: Notification) {
  const lines = text.split("\n");
  return {
    text: escaped(lines[0] ?? title),
    attachments: [
      {
        color: event === "resolved" ? resolvedColour : colours[severity],
        fallback: escaped(title),
        text: escaped(lines.slice(1).join("\n")),
        footer: key,
      },
    ],
  };
}

/** These three begin links, mentions and channels there: a task's type must be able to call nobody. */
const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
