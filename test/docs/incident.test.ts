import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { Client, connect, defineTask, fixed, Inspector, Worker } from "../../src/index.js";
import { DeadLetters } from "../../src/deadletter/index.js";
import { CliHost } from "../support/cli.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const page = readFileSync(join(import.meta.dirname, "../../docs/guide/dead-letters.md"), "utf8");
/** Commands, and what the page shows of all of them that stand together. */
const steps = [...page.matchAll(/^```sh\n(.*?)\n```\n\n?(?:```text output\n(.*?)\n```)?/gms)].map(
  ([, commands, output]) => ({
    commands: commands!.split("\n"),
    output: output?.split("\n").filter((line) => line !== "…") ?? [],
  }),
);
const [fingerprint = ""] = /v1:[\da-f]{16}/.exec(page)!;
const [shownId = ""] = /(?<=dlq show )\S+/.exec(page)!;

/** A command as a shell would take it to pieces. */
const wordsOf = (command: string) =>
  [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);

/** What is another one at each run: ids, times, who it was, and how many. */
const shapeOf = (line: string) =>
  line
    .replaceAll(/v1:[\da-f]{16}/g, "FP")
    .replaceAll(/[\da-f]{8}-[\da-f-]{27}/g, "ID")
    .replaceAll(/, on \S+,/g, ", on HOST,")
    .replaceAll(/\d+ (ms|s|m|h|min|d)\b/g, "TIME")
    .replaceAll(/\bnow\b/g, "TIME ago")
    .replaceAll(/\d+/g, "#")
    .replaceAll(/\s+/g, " ");

describeRedis("the incident in the guide to dead letters", () => {
  it("goes as it is told there", async () => {
    await using redis = await RedisServer.start();
    await using cli = new CliHost({ HOLDFAST_URL: redis.url });
    await using broker = connect(redis.url, { log: silent });
    const letters = new DeadLetters(broker);
    const charge = defineTask<{ order: string; customer: { account: string; bank?: { iban: string } } }>(
      "invoice:charge",
      {
        queue: "billing",
        maxRetry: 1,
        retry: fixed("1s"),
      },
    );
    const orders = Array.from({ length: 20 }, (_, n) =>
      charge({ order: `A-${100 + n}`, customer: { account: "0012345" } }),
    );
    const fleet = async (build: string) => {
      const worker = new Worker(broker, {
        queues: { billing: 1 },
        concurrency: 20,
        build,
        keepStacks: true,
        log: silent,
      });
      worker.handle(charge, async ({ customer }) => {
        if (build !== "2.4.1") void customer.bank!.iban;
      });
      await worker.start();
      return worker;
    };
    const dead = async () => (await new Inspector(broker).queue("billing")).counts.archived;
    const broken = async (build: string) => {
      const worker = await fleet(build);
      await new Client(broker).enqueueAll(orders);
      await until("all are dead", async () => (await dead()) === orders.length);
      await worker.stop();
    };
    await broken("2.4.0");
    const [group] = (await letters.groups()).groups;
    const { items } = await letters.groupTasks(group!.fingerprint, { limit: 1 });
    const mended = () => fleet("2.4.1");
    let worker: Worker | undefined;

    for (const { commands, output } of steps) {
      let said = "";
      for (const command of commands) {
        if (command.includes("redrive plan")) worker = await mended();
        if (command.includes("review")) expect((await letters.groups()).groups[0]!.status).toBe("regressed");
        const own = command.replaceAll(fingerprint, group!.fingerprint).replace(shownId, items[0]!.id);
        const { status, stdout, stderr } = await cli.run(...wordsOf(own).slice(1));
        expect({ command, status, stderr: status === 0 ? "" : stderr }).toEqual({ command, status: 0, stderr: "" });
        said += stdout + stderr;
        if (command.includes("dlq resolve")) {
          await worker?.stop();
          await broken("2.5.0");
        }
      }
      const shapes = said.split("\n").map(shapeOf);
      expect
        .soft(
          output.map(shapeOf).filter((line) => !shapes.includes(line)),
          commands.join("\n"),
        )
        .toEqual([]);
    }
    expect(steps.length).toBeGreaterThan(8);
  });
});
