import { invalidOption, shown } from "../core/errors.js";
import { resolve, setting } from "../core/settings.js";
import { EmbeddedBroker } from "./embedded-broker.js";

export type { EmbeddedBroker };

export interface EmbeddedBrokerOptions {
  /** A path, or ":memory:". The file is made when it is missing, the folder is not. */
  readonly file: string;
}

const embeddedSettings = {
  file: setting.text({
    default: undefined,
    allowed: 'a path, or ":memory:"',
    says: "the file that keeps the tasks, shared by the processes of one machine; made when it is missing, in a folder that is there",
    parse: filePath,
  }),
};

/**
 * Tasks in one SQLite file on a local disk, or in memory (gone with the broker). Opens with the first call.
 *
 * @example
 * const broker = embeddedBroker({ file: "./tasks.db" });
 *
 * @throws OPTION_INVALID
 */
export function embeddedBroker(options: EmbeddedBrokerOptions): EmbeddedBroker {
  const { file } = resolve(embeddedSettings, options, "embeddedBroker");
  return new EmbeddedBroker(file ?? filePath(file, "embeddedBroker.file"));
}

function filePath(value: unknown, option: string): string {
  if (typeof value !== "string" || value.trim() === "" || value.includes("\0")) {
    throw invalidOption(option, `must be a path, or ":memory:", got ${shown(value)}`);
  }
  return value;
}
