import { encryptionKeySetting, type EncryptionKeys } from "../../core/encryption-key.js";
import { directoryPath } from "../../core/own-directory.js";
import { type Given, resolve, setting } from "../../core/settings.js";

export const spoolSettings = {
  directory: setting.text({
    default: undefined,
    allowed: "a path",
    says: "a directory on a local disk for this user alone, made when it is missing; processes may share it when they have the same Redis",
    parse: directoryPath,
  }),
  key: encryptionKeySetting(
    "encrypts what is spooled (AES-256-GCM); none: it is in clear in files that only this user can read",
  ),
  maxBytes: setting.integer({
    default: 1_073_741_824,
    min: 1,
    says: "most bytes that one process's spool holds",
  }),
  maxTasks: setting.integer({
    default: 1_000_000,
    min: 1,
    says: "most tasks that one process's spool holds",
  }),
  maxAge: setting.duration({
    default: "72h",
    min: "1s",
    says: "tells when a task has waited longer (log and event); nothing is ever deleted for its age",
  }),
};

export interface FileSpoolOptions extends Given<typeof spoolSettings> {
  readonly directory: string;
}

/** What the store's thread works with. */
export interface SpoolPlan {
  readonly directory: string;
  readonly keys: EncryptionKeys;
  readonly maxBytes: number;
  readonly maxTasks: number;
  readonly maxAgeMs: number;
}

/** A directory alone is enough. @throws OPTION_INVALID */
export function spoolPlan(options: string | FileSpoolOptions): SpoolPlan {
  const given = typeof options === "string" ? { directory: options } : options;
  const { directory, key, ...bounds } = resolve(spoolSettings, given, "spool");
  return { directory: directory ?? directoryPath(directory, "spool.directory"), keys: key ?? [], ...bounds };
}
