import { expect, it } from "vitest";
import { queueFacts } from "../../../test/support/queue-facts.js";
import { type DocumentKind, type DocumentWrite, textOf } from "../../broker/documents.js";
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
      servers: [],
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

/** A cause of charges in billing, with what it brings; answers what is told at each of these minutes, by rule. */
async function deploy(minutes: readonly { at: number; cause: number; size: number; fails: number; mail: number }[]) {
  const none = { for: "0s", keepFiring: "0s" } as const;
  const config = resolveMonitorConfig({
    rules: { NewFailureGroup: { ...none, window: "1h" }, DlqSizeHigh: none, TypeFailureRatio: none },
    channels: [{ kind: "webhook", url: "http://localhost/" }],
  });
  const book = new AlertBook(new MemoryDocuments(), config, silent);
  const charge = { type: "charge", count: 1 };
  const types = [
    { ...charge, queue: "billing", outcome: "retry", reason: "timeout" },
    { ...charge, queue: "mail", outcome: "completed", reason: "" },
  ];
  for (const { at, cause, size, fails, mail } of minutes) {
    const group = { fingerprint: "v1:0123456789abcdef", type: "charge", status: "open", count: cause } as const;
    const facts = {
      atMs: at * 60_000,
      queues: [queueFacts("billing", { archived: size }), queueFacts("mail", { archived: mail })],
      groups: cause === 0 ? [] : [{ ...group, queues: ["billing"], firstSeenMs: 0, lastSeenMs: 0 }],
      types,
      servers: [],
    };
    const settingsOf = settingsFor.bind(undefined, config);
    const look = { facts, trail: new Trail(1), settingsOf, failing: {}, undelivered: {} };
    await book.evaluate(look, [
      ruleOf("DlqSizeHigh"),
      ruleOf("NewFailureGroup"),
      { ...ruleOf("TypeFailureRatio"), find: () => [{ labels: { type: "charge" }, value: fails }] },
    ]);
  }
  const all = (await book.read()).flatMap(({ notices }) => notices.map(({ notification }) => notification));
  const causes = [...new Set(all.toSorted((a, b) => (a.at < b.at ? -1 : 1)).map(({ cause }) => cause))];
  return all
    .map((one) => ({
      what: `${Date.parse(one.at) / 60_000} ${one.rule} ${one.labels["queue"] ?? one.labels["type"]} ${one.event}`,
      beside: one.related.map(({ rule, severity }) => `${rule} ${severity}`),
      cause: causes.indexOf(one.cause),
      line: one.text.split("\n").find((line) => / firing: /.test(line)),
    }))
    .toSorted((a, b) => a.what.localeCompare(b.what));
}

it("tells with each alert what else of its cause fires, and gives those that begin together one cause", async () => {
  const heard = await deploy([
    { at: 0, cause: 60, size: 0, fails: 0, mail: 101 },
    { at: 5, cause: 60, size: 1_200, fails: 0, mail: 101 },
    { at: 30, cause: 60, size: 1_200, fails: 0.3, mail: 101 },
    { at: 40, cause: 60, size: 0, fails: 0.3, mail: 101 },
  ]);

  expect(heard.map(({ what, beside }) => [what, ...beside])).toEqual([
    ["0 DlqSizeHigh mail firing"],
    ["0 NewFailureGroup charge firing"],
    ["30 TypeFailureRatio charge firing", "DlqSizeHigh critical", "NewFailureGroup warning"],
    ["40 DlqSizeHigh billing resolved", "NewFailureGroup warning", "TypeFailureRatio warning"],
    ["5 DlqSizeHigh billing firing", "NewFailureGroup warning"],
  ]);
  const [mail, cause, fails, over, size] = heard.map((one) => one.cause);
  expect([size, over]).toEqual([cause, cause]);
  expect(new Set([mail, cause, fails]).size).toBe(3);
  expect(heard.map(({ line }) => line)).toEqual([
    undefined,
    undefined,
    "Also firing: DlqSizeHigh (critical, queue billing); NewFailureGroup (warning, fingerprint v1:0123456789abcdef, type charge)",
    "Still firing: NewFailureGroup (warning, fingerprint v1:0123456789abcdef, type charge); TypeFailureRatio (warning, type charge)",
    "Also firing: NewFailureGroup (warning, fingerprint v1:0123456789abcdef, type charge)",
  ]);
});

it("names both of two that begin in the same look, the worst first, and none of another queue", async () => {
  const heard = await deploy([{ at: 0, cause: 60, size: 1_200, fails: 0.3, mail: 101 }]);

  expect(heard.map(({ what, beside }) => [what, ...beside])).toEqual([
    ["0 DlqSizeHigh billing firing", "NewFailureGroup warning", "TypeFailureRatio warning"],
    ["0 DlqSizeHigh mail firing"],
    ["0 NewFailureGroup charge firing", "DlqSizeHigh critical", "TypeFailureRatio warning"],
    ["0 TypeFailureRatio charge firing", "DlqSizeHigh critical", "NewFailureGroup warning"],
  ]);
  const [size, mail, cause, fails] = heard.map((one) => one.cause);
  expect([size, fails]).toEqual([cause, cause]);
  expect(mail).not.toBe(cause);
});

it("tells an end by how long it lasted, and not as if what is there were gone", () => {
  const config = resolveMonitorConfig();
  const over = (rule: "DlqSizeHigh" | "NewFailureGroup") => {
    const firing = { severity: "warning", sinceMs: 0, firedAtMs: 0, toldAtMs: 0 } as const;
    const alert = { rule, labels: { type: "invoice:charge" }, since: {}, value: 0, firing };
    const none = { alerts: [], more: false };
    return notificationOf(alert, "resolved", "warning", ruleOf(rule).defaults, config, 90_000, none).text.split("\n");
  };

  expect(over("DlqSizeHigh").slice(0, 3)).toEqual([
    "RESOLVED [warning] Over: a queue has many dead letters that nobody has acknowledged (type invoice:charge)",
    "Where: default, type invoice:charge",
    "Lasted: 90 s, from 1970-01-01T00:00:00.000Z to 1970-01-01T00:01:30.000Z",
  ]);
  expect(over("NewFailureGroup")[0]).toBe(
    'RESOLVED [warning] Not new any more: a cause of type "invoice:charge"; what is dead of it stays until somebody deals with it',
  );
});

it("tells of the others when a name is too long for a document", async () => {
  class Bounded extends MemoryDocuments {
    override async writeDocuments(kind: DocumentKind, writes: readonly DocumentWrite[]) {
      for (const { id, value } of writes) textOf(id, value);
      return super.writeDocuments(kind, writes);
    }
  }
  const config = resolveMonitorConfig({ rules: { DlqSizeHigh: { for: "0s" } } });
  const queues = ["mail", "x".repeat(70_000)].map((name) => queueFacts(name, { archived: 5_000 }));
  const facts = { atMs: 0, queues, groups: undefined, types: undefined, servers: [] };
  const settingsOf = settingsFor.bind(undefined, config);
  const book = new AlertBook(new Bounded(), config, silent);
  await book.evaluate({ facts, trail: new Trail(1), settingsOf, failing: {}, undelivered: {} }, [
    ruleOf("DlqSizeHigh"),
  ]);

  expect((await book.read()).map(({ alert }) => alert.labels)).toEqual([{ queue: "mail" }]);
});
