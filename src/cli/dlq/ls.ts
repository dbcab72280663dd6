import { Command } from "commander";
import type { QueueInfo } from "../../index.js";
import { type StorageFlags, teaching, withStorage } from "../flags.js";
import { note, print, printJson } from "../output.js";
import { numbers } from "../queue/view.js";
import { table } from "../table.js";
import { span } from "../times.js";
import { withDeadLetters } from "./open.js";

export function lsCommand(): Command {
  const command = new Command("ls")
    .summary("queues that have dead letters")
    .description("Queues that have dead letters: how many, and how old the oldest one is.");
  return teaching(withStorage(command), ["holdfast dlq ls"]).action(async (flags: StorageFlags) =>
    withDeadLetters(flags, async ({ broker, letters }) => {
      const queues = await letters.queues();
      if (flags.json === true)
        await printJson(
          queues.map(({ name, counts, earliestAtMs }) => ({
            queue: name,
            deadLetters: counts.archived,
            oldestAtMs: earliestAtMs?.archived,
          })),
        );
      else if (queues.length === 0) note("No dead letters.");
      else
        await print(
          ...table(
            [
              { head: "QUEUE", cell: ({ name }: QueueInfo) => name, min: 10 },
              numbers<QueueInfo>("DEAD", ({ counts }) => counts.archived),
              {
                head: "OLDEST",
                cell: ({ earliestAtMs }: QueueInfo) => ageOf(earliestAtMs?.archived, broker.clock.nowMs()),
                min: 6,
              },
            ],
            queues,
          ),
        );
    }),
  );
}

const ageOf = (atMs: number | undefined, nowMs: number) => (atMs === undefined ? "-" : span(Math.max(0, nowMs - atMs)));
