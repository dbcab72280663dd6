import { clientSettings } from "../src/client/client.js";
import type { Setting } from "../src/core/settings.js";
import { callSettings, taskSettings } from "../src/core/task.js";
import { redisSettings } from "../src/redis/options.js";
import { workerSettings } from "../src/worker/options.js";
import { table } from "./markdown-table.js";

type Settings = Readonly<Record<string, Setting<unknown, unknown>>>;

/** One table per kind of options, by the name of its place in the page. */
export function optionTables(): Record<string, string> {
  const onlyCall = Object.fromEntries(
    Object.entries(callSettings).filter(([name]) => !Object.hasOwn(taskSettings, name)),
  );
  return {
    redis: optionTable(redisSettings),
    task: optionTable(taskSettings),
    call: optionTable(onlyCall),
    client: optionTable(clientSettings),
    worker: optionTable(workerSettings),
  };
}

function optionTable(settings: Settings): string {
  const rows = Object.entries(settings).map(([name, { default: value, allowed, says }]) => [
    `\`${name}\``,
    value === undefined ? "none" : `\`${JSON.stringify(value)}\``,
    allowed,
    says,
  ]);
  return table(["Option", "Default", "Allowed", "What it is"], rows);
}
