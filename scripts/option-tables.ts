import { clientSettings } from "../src/client/client.js";
import type { Setting } from "../src/core/settings.js";
import {
  bulkSettings,
  cancelSettings,
  dropSettings,
  failOverSettings,
  inspectorSettings,
  listSettings,
  maintenanceSettings,
  runSettings,
} from "../src/inspector/options.js";
import { callSettings, taskSettings } from "../src/core/task.js";
import { copySettings } from "../src/deadletter/copy.js";
import { acknowledgeSettings, discardSettings } from "../src/deadletter/trash.js";
import { spoolSettings } from "../src/embedded/spool/spool-options.js";
import { deliverySettings } from "../src/spool/options.js";
import { redisSettings } from "../src/redis/options.js";
import { healthServerSettings, monitorServerSettings } from "../src/http/options.js";
import { workerSettings } from "../src/worker/options.js";
import { table } from "./markdown-table.js";

type Settings = Readonly<Record<string, Setting<unknown, unknown>>>;

/** One table per kind of options, by the name of its place in the page. */
export function optionTables(): Record<string, string> {
  return {
    redis: optionTable(redisSettings),
    spool: optionTable({ ...spoolSettings, ...deliverySettings }),
    task: optionTable(taskSettings),
    call: optionTable(without(taskSettings, callSettings)),
    client: optionTable(clientSettings),
    worker: optionTable(workerSettings),
    healthServer: optionTable(healthServerSettings),
    monitorServer: optionTable(monitorServerSettings),
    inspector: optionTable(inspectorSettings),
    list: optionTable(listSettings),
    bulk: optionTable(runSettings),
    drop: optionTable(without(bulkSettings, dropSettings)),
    maintenance: optionTable(without(bulkSettings, maintenanceSettings)),
    failOver: optionTable(failOverSettings),
    cancel: optionTable(without(bulkSettings, cancelSettings)),
    discard: optionTable(without(bulkSettings, discardSettings)),
    acknowledge: optionTable(without(bulkSettings, acknowledgeSettings)),
    copy: optionTable(without(bulkSettings, copySettings)),
  };
}

/** Those that another table has are told there. */
function without(told: Settings, settings: Settings): Settings {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => !Object.hasOwn(told, name)));
}

export function optionTable(settings: Settings): string {
  const rows = Object.entries(settings).map(([name, { default: value, allowed, says }]) => [
    `\`${name}\``,
    value === undefined ? "none" : `\`${JSON.stringify(value)}\``,
    allowed,
    says,
  ]);
  return table(["Option", "Default", "Allowed", "What it is"], rows);
}
