import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { mailer } from "../../src/cli/monitor/mailer.js";
import { silent } from "../../src/core/log.js";
import { Client, connect, defineTask } from "../../src/index.js";
import {
  type Duty,
  type GivenChannel,
  listAlerts,
  Monitor,
  type MonitorOptions,
  testChannels,
} from "../../src/ops/index.js";
import { settles, until } from "../support/until.js";
import { MailReceiver, WebhookReceiver } from "./receivers.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-alerts-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A queue with a task and no worker: one alert, at once. */
async function alarmed(channels: readonly GivenChannel[], more: MonitorOptions = {}) {
  const broker = connect("memory:");
  await new Client(broker).enqueue(defineTask("mail:send")());
  const options: MonitorOptions = {
    environment: "test",
    pollEvery: "50ms",
    retryAfter: "20ms",
    rules: { NoWorkers: { for: "0s", keepFiring: "0s" } },
    channels,
    mailer,
    log: silent,
    ...more,
  };
  const monitors: Monitor[] = [];
  const monitor = () => {
    const one = new Monitor(broker, options);
    one.start();
    monitors.push(one);
    return one;
  };
  const dispose = async () => {
    for (const one of monitors) await one.stop();
    await broker.close();
  };
  return { broker, monitor, [Symbol.asyncDispose]: dispose };
}
const empty = async (broker: ReturnType<typeof connect>) =>
  broker.dropQueue(
    "default",
    { force: true, limit: 100 },
    { actor: "test", reason: "", requestId: "1" },
    broker.clock.nowMs(),
  );

describe("a webhook", () => {
  it("says what, since when, how bad and what to do, signed, and that it is over", async () => {
    await using receiver = await WebhookReceiver.start();
    const channel = { kind: "webhook", url: receiver.url, secret: "s3cret" } as const;
    await using scene = await alarmed([channel], { runbooks: "https://wiki.example/alerts/" });
    scene.monitor();
    await until("it is told", () => receiver.all.length === 1);

    const [{ headers, body }] = receiver.all as [(typeof receiver.all)[0]];
    const id = String(headers["webhook-id"]);
    const sentS = Number(headers["webhook-timestamp"]);
    const mac = createHmac("sha256", "s3cret").update(`${id}.${sentS}.${body}`).digest("base64");
    expect(headers["webhook-signature"]).toBe(`v1,${mac}`);
    expect(Math.abs(sentS - Date.now() / 1_000)).toBeLessThan(60);
    const [told] = receiver.notifications;
    expect(told).toMatchObject({
      version: 1,
      id,
      event: "firing",
      environment: "test",
      rule: "NoWorkers",
      severity: "critical",
      labels: { queue: "default" },
      cause: expect.stringMatching(/^[0-9a-f]{32}$/),
      related: [],
      value: 1,
      threshold: 0,
      firstAction: "holdfast worker ls",
      runbook: "https://wiki.example/alerts/NoWorkers.md",
    });
    expect(told!.text.split("\n")).toEqual([
      'FIRING [critical] 1 task in queue "default", and no worker serves it',
      "Where: test, queue default",
      expect.stringMatching(/^Since: \d{4}-\d\d-\d\dT[\d:.]+Z \(0 s\)$/),
      "How bad: 1 task; critical is above 0 tasks",
      "First: holdfast worker ls",
      "Runbook: https://wiki.example/alerts/NoWorkers.md",
    ]);

    await empty(scene.broker);
    await until("its end is told", () => receiver.all.length === 2);
    expect(receiver.notifications[1]).toMatchObject({ event: "resolved", key: told!.key, cause: told!.cause });
  });

  it("is tried again with the same id, five times at the most, and no redirect is followed", async () => {
    await using receiver = await WebhookReceiver.start();
    receiver.answer = 302;
    await using scene = await alarmed([{ kind: "webhook", url: receiver.url }], { retryAfter: "1ms" });
    const monitor = scene.monitor();
    const counted = async (result: string) =>
      new RegExp(`notifications_total\\{channel="webhook",result="${result}"\\} (\\d+)`).exec(
        await monitor.metrics(),
      )![1];
    // 1 + 5 + 25 + 125 ms.
    await until("it is given up", async () => (await counted("given_up")) === "1");

    expect(new Set(receiver.all.map(({ path }) => path))).toEqual(new Set(["/hook"]));
    expect(receiver.all).toHaveLength(5);
    expect(new Set(receiver.all.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    expect([await counted("sent"), await counted("failed")]).toEqual(["0", "5"]);
    // It is counted first, and then written down.
    await until("it is taken off the list", async () => (await listAlerts(scene.broker))[0]?.undelivered === 0);
    expect(await listAlerts(scene.broker)).toMatchObject([{ rule: "NoWorkers", state: "firing" }]);
  });

  it("does not hold up another channel by hanging", async () => {
    await using hanging = await WebhookReceiver.start();
    hanging.answer = "hang";
    await using receiver = await WebhookReceiver.start();
    await using scene = await alarmed([
      { kind: "webhook", name: "hanging", url: hanging.url },
      { kind: "webhook", name: "well", url: receiver.url },
    ]);
    scene.monitor();

    await until("the other is told", () => receiver.told.length === 1);
    expect(receiver.told).toEqual(["NoWorkers firing"]);
  });

  it("has Slack's form where it is asked for, in which a queue's name calls nobody", async () => {
    await using receiver = await WebhookReceiver.start();
    await using scene = await alarmed([{ kind: "webhook", url: receiver.url, format: "slack" }], {
      environment: "<!channel> & co",
    });
    scene.monitor();
    await until("it is told", () => receiver.all.length === 1);

    const body = JSON.parse(receiver.all[0]!.body) as { text: string; attachments: { color: string; text: string }[] };
    expect(body.text).toBe('FIRING [critical] 1 task in queue "default", and no worker serves it');
    expect(body.attachments[0]).toMatchObject({ color: "#a30200" });
    expect(body.attachments[0]!.text).toContain("&lt;!channel&gt; &amp; co");
  });
});

describe("e-mail", () => {
  it("tells each alert as a thread, by a server that wants a password", async () => {
    await using server = new MailReceiver("pass word");
    const at = await server.start();
    const passwordFile = join(folder, "smtp");
    writeFileSync(passwordFile, "pass word\n");
    await using scene = await alarmed([
      {
        kind: "mail",
        server: `smtp://alerts@${at}`,
        plain: true,
        passwordFile,
        sender: "alerts@example.com",
        to: ["a@example.com", "b@example.com"],
      },
    ]);
    scene.monitor();
    await until("a mail has come", () => server.mails.length === 1);
    await empty(scene.broker);
    await until("a second one has come", () => server.mails.length === 2);

    const [first, second] = server.mails;
    expect(first).toMatchObject({ from: "alerts@example.com", to: ["a@example.com", "b@example.com"] });
    expect(first!.subject).toBe('[test] FIRING [critical] 1 task in queue "default", and no worker serves it');
    expect(first!.text).toContain("First: holdfast worker ls");
    expect(second!.subject).toMatch(/^\[test\] RESOLVED \[critical\] Over: /);
    const thread = ({ text }: { text: string }) => /^References: (.*)\r$/m.exec(text)?.[1];
    expect(thread(first!)).toMatch(/^<\w{32}@example\.com>$/);
    expect(thread(second!)).toBe(thread(first!));
    expect(first!.text).toMatch(/^Message-ID: <msg_\w{32}@example\.com>\r$/m);
  });

  it("is not sent over a line that anybody can read, unless that is wanted", async () => {
    await using server = new MailReceiver();
    const mail = {
      kind: "mail",
      server: `smtp://${await server.start()}`,
      sender: "a@example.com",
      to: ["b@example.com"],
    } as const;

    const [refused] = await testChannels({ channels: [mail] }, mailer);
    expect(refused!.problem).toMatch(/STARTTLS/i);
    expect(server.mails).toEqual([]);
    expect(await testChannels({ channels: [{ ...mail, plain: true }] }, mailer)).toMatchObject([
      { problem: undefined },
    ]);
    expect(server.mails).toHaveLength(2);
  });
});

describe("a monitor that ends and another that begins", () => {
  it("tell nothing twice, send what was not sent, and know the alert by the same key", async () => {
    await using receiver = await WebhookReceiver.start();
    await using scene = await alarmed([{ kind: "webhook", url: receiver.url }]);
    const first = scene.monitor();
    await until("it is told", () => receiver.all.length === 1);
    await first.stop();

    const second = scene.monitor();
    await until("the second has judged", () => second.health().duties.includes("alerts"));
    await until("and has nothing to send", async () => (await listAlerts(scene.broker))[0]!.undelivered === 0);
    receiver.answer = 503;
    await empty(scene.broker);
    await until("its end was refused", () => receiver.all.length >= 2);
    await second.stop();
    const refused = receiver.all.length;
    receiver.answer = 200;

    scene.monitor();
    await until("the third has sent it", async () => (await listAlerts(scene.broker))[0]!.undelivered === 0);
    expect(receiver.all.length).toBe(refused + 1);
    expect(receiver.told.slice(0, 1)).toEqual(["NoWorkers firing"]);
    expect(new Set(receiver.told.slice(1))).toEqual(new Set(["NoWorkers resolved"]));
    expect(new Set(receiver.notifications.map(({ key }) => key)).size).toBe(1);
    expect(new Set(receiver.notifications.map(({ id }) => id)).size).toBe(2);
  });

  it("do each duty in one of them, and the other goes on when that one ends", async () => {
    await using scene = await alarmed([]);
    const first = scene.monitor();
    await until("the first has both", () => first.health().duties.length === 2);
    const second = scene.monitor();
    await until("the second watches", () => second.health().lookedAtMs !== undefined);
    expect(second.health().duties).toEqual([]);

    await first.stop();
    await until("the second has both", () => second.health().duties.length === 2);
  });
});

describe("duties", () => {
  it("that fail or hang stop no other, are told, and do not keep the monitor from ending", async () => {
    await using receiver = await WebhookReceiver.start();
    let [steps, hung] = [0, 0];
    const duties: Duty[] = [
      { name: "failing", everyMs: 20, step: () => Promise.reject(new Error("no")) },
      {
        name: "hanging",
        everyMs: 20,
        step: async () => {
          hung += 1;
          await new Promise(() => undefined);
        },
      },
      { name: "well", everyMs: 20, step: async () => void (steps += 1) },
    ];
    await using scene = await alarmed([{ kind: "webhook", url: receiver.url }], {
      duties,
      rules: { DutyFailing: { warning: "0s" }, NoWorkers: { enabled: false } },
    });
    const monitor = scene.monitor();

    await until("the failing one is told", () => receiver.told.includes("DutyFailing firing"));
    expect(receiver.notifications[0]!.labels).toEqual({ duty: "failing" });
    await until("the other goes on", () => steps > 3);
    await settles("the monitor's end", monitor.stop(), 4_000);
    expect(hung).toBe(1);
  });
});
