import { expect, it } from "vitest";
import { queueFacts } from "../../../test/support/queue-facts.js";
import { silent } from "../../core/log.js";
import { resolveMonitorConfig } from "../monitor-config.js";
import { Trail } from "../trail.js";
import { AlertBook } from "./book.js";
import { MemoryDocuments } from "./memory-documents.js";
import { settingsFor } from "./rule-settings.js";
import { ruleOf } from "./rules.js";
import { notificationOf } from "./texts.js";

/** Looks at a queue with so many dead letters, a second apart; answers what each channel is to be told, in order. */
async function told(archived: readonly number[], channels: readonly object[]) {
  const config = resolveMonitorConfig({
    rules: { DlqSizeHigh: { for: "0s", keepFiring: "0s" } },
    channels: channels.map((one) => ({ kind: "webhook", url: "http://localhost/", ...one }) as const),
  });
  const book = new AlertBook(new MemoryDocuments(), config, silent);
  for (const [n, count] of archived.entries()) {
    const facts = {
      atMs: n * 1_000,
      queues: [queueFacts("mail", { archived: count })],
      groups: undefined,
      types: undefined,
    };
    const settingsOf = settingsFor.bind(undefined, config);
    const look = { facts, trail: new Trail(1), settingsOf, failing: {}, undelivered: {} };
    await book.evaluate(look, [ruleOf("DlqSizeHigh")]);
  }
  const notices = (await book.read()).flatMap((stored) => stored.notices);
  return (name: string) =>
    notices
      .filter(({ to }) => to.some(({ channel }) => channel === name))
      .map(({ notification: { event, severity } }) => `${event} ${severity}`);
}

it("tells the end to all who have heard of it, though it was not so bad any more", async () => {
  const to = await told([1_001, 500, 500, 0], [{ name: "pager", from: "critical" }, { name: "chat" }]);

  expect(to("pager")).toEqual(["firing critical", "resolved critical"]);
  expect(to("chat")).toEqual(["firing critical", "resolved critical"]);
});

it("does not tell the end to those who have not heard of it", async () => {
  const to = await told([101, 0], [{ name: "pager", from: "critical" }, { name: "chat" }]);

  expect(to("pager")).toEqual([]);
  expect(to("chat")).toEqual(["firing warning", "resolved warning"]);
});

it("tells each of many channels, which are all away", async () => {
  const names = Array.from({ length: 20 }, (_, n) => `channel-${n}`);
  const to = await told(
    [1_001, 0, 1_001, 0],
    names.map((name) => ({ name })),
  );

  const twice = ["firing critical", "resolved critical", "firing critical", "resolved critical"];
  for (const name of names) expect(to(name)).toEqual(twice);
});

it("keeps no more of what nobody takes than a document holds, the newest", async () => {
  const swinging = Array.from({ length: 60 }, (_, n) => (n % 2 === 0 ? 1_001 : 0));
  const to = await told(swinging, [{ name: "chat" }]);

  expect(to("chat").length).toBeGreaterThan(5);
  expect(to("chat").length).toBeLessThan(50);
  expect(to("chat").at(-1)).toBe("resolved critical");
});

it("tells an end by how long it lasted, and not as if what is there were gone", () => {
  const config = resolveMonitorConfig();
  const over = (rule: "DlqSizeHigh" | "NewFailureGroup") => {
    const firing = { severity: "warning", sinceMs: 0, firedAtMs: 0, toldAtMs: 0 } as const;
    const alert = { rule, labels: { type: "invoice:charge" }, since: {}, value: 0, firing };
    return notificationOf(alert, "resolved", "warning", ruleOf(rule).defaults, config, 90_000).text.split("\n");
  };

  expect(over("DlqSizeHigh").slice(0, 3)).toEqual([
    "RESOLVED [warning] Over: a queue has many dead letters (type invoice:charge)",
    "Where: default, type invoice:charge",
    "Lasted: 90 s, from 1970-01-01T00:00:00.000Z to 1970-01-01T00:01:30.000Z",
  ]);
  expect(over("NewFailureGroup")[0]).toBe(
    'RESOLVED [warning] Not new any more: a cause of type "invoice:charge"; what is dead of it stays until somebody deals with it',
  );
});
