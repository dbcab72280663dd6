import { invalidOption, shown } from "./errors.js";
import type { Setting } from "./settings.js";

/** 32 random bytes, as they are or as base64: `openssl rand -base64 32`. */
export type KeyBytes = Uint8Array | string;

/** One key; or several by names of one's own, of which `active` is used for what is new: the others still open what is old. */
export type EncryptionKey = KeyBytes | { readonly active: string; readonly keys: Readonly<Record<string, KeyBytes>> };

/** The first is used for what is new. */
export type EncryptionKeys = readonly Uint8Array[];

const allowed = "32 bytes, as a Uint8Array or in base64, or { active, keys } with several of them by name";

export const encryptionKeySetting = (says: string): Setting<EncryptionKey, EncryptionKeys | undefined> => ({
  kind: "record",
  says,
  default: undefined,
  allowed,
  parse: encryptionKeys,
});

/** @throws OPTION_INVALID */
export function encryptionKeys(value: unknown, option: string): EncryptionKeys {
  if (typeof value === "string" || value instanceof Uint8Array) return [keyBytes(value, option)];
  const ring = value as { active?: unknown; keys?: unknown } | null;
  if (typeof ring !== "object" || ring === null || typeof ring.keys !== "object" || ring.keys === null) {
    throw invalidOption(option, `must be ${allowed}`);
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
