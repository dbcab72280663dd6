import { resolve as absolute } from "node:path";
import { hasControl, invalidOption, shown } from "../../core/errors.js";
import { type Given, resolve, setting } from "../../core/settings.js";

/** 32 random bytes, as they are or as base64: `openssl rand -base64 32`. */
export type SpoolKeyBytes = Uint8Array | string;

/** One key; or several by names of one's own, of which `active` is used for what is new: the others still open what is old. */
export type SpoolKey =
  | SpoolKeyBytes
  | { readonly active: string; readonly keys: Readonly<Record<string, SpoolKeyBytes>> };

/** The first is used for what is new. */
export type SpoolKeys = readonly Uint8Array[];

const keyAllowed = "32 bytes, as a Uint8Array or in base64, or { active, keys } with several of them by name";

export const spoolSettings = {
  directory: setting.text({
    default: undefined,
    allowed: "a path",
    says: "a directory on a local disk for this user alone, made when it is missing; processes may share it when they have the same Redis",
    parse: spoolPath,
  }),
  key: {
    kind: "record" as const,
    says: "encrypts what is spooled (AES-256-GCM); none: it is in clear in files that only this user can read",
    default: undefined as SpoolKey | undefined,
    allowed: keyAllowed,
    parse: spoolKeys,
  },
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
  readonly keys: SpoolKeys;
  readonly maxBytes: number;
  readonly maxTasks: number;
  readonly maxAgeMs: number;
}

/** A directory alone is enough. @throws OPTION_INVALID */
export function spoolPlan(options: string | FileSpoolOptions): SpoolPlan {
  const given = typeof options === "string" ? { directory: options } : options;
  const { directory, key, ...bounds } = resolve(spoolSettings, given, "spool");
  return { directory: directory ?? spoolPath(directory, "spool.directory"), keys: key ?? [], ...bounds };
}

export function spoolPath(value: unknown, option: string): string {
  if (typeof value === "string" && value.trim() !== "" && !hasControl(value)) return absolute(value);
  throw invalidOption(option, `must be a path, got ${shown(value)}`);
}

export function spoolKeys(value: unknown, option: string): SpoolKeys {
  if (typeof value === "string" || value instanceof Uint8Array) return [keyBytes(value, option)];
  const ring = value as { active?: unknown; keys?: unknown } | null;
  if (typeof ring !== "object" || ring === null || typeof ring.keys !== "object" || ring.keys === null) {
    throw invalidOption(option, `must be ${keyAllowed}`);
  }
  const { active } = ring;
  const keys = Object.entries(ring.keys);
  if (typeof active !== "string" || !keys.some(([name]) => name === active)) {
    const names = keys.map(([name]) => shown(name)).join(", ");
    throw invalidOption(`${option}.active`, `must be the name of one of the keys (${names}), got ${shown(active)}`);
  }
  return keys
    .toSorted(([a], [b]) => Number(b === active) - Number(a === active))
    .map(([name, key]) => keyBytes(key, `${option}.keys.${name.slice(0, 64)}`));
}

/** What came is not shown: it may be nearly right. */
function keyBytes(value: unknown, option: string): Uint8Array {
  const bytes = typeof value === "string" && base64.test(value) ? Buffer.from(value, "base64") : value;
  if (bytes instanceof Uint8Array && bytes.length === 32) return Uint8Array.from(bytes);
  throw invalidOption(option, "must be 32 bytes, as a Uint8Array or in base64: openssl rand -base64 32");
}

const base64 = /^[A-Za-z0-9+/]{43}=$/;
