import { createHash, sign, verify, type KeyObject } from "node:crypto";
import type { ChainEnd, SealedText } from "../../broker/audit.js";
import { storedJson } from "../../core/stored-json.js";
import type { SealingKey } from "./keys.js";

/**
 * One record of the sealed log, a line of JSON. `act`: what was done by hand. `gap`: acts of a log are missing that were
 * never sealed. `loss`: sealed records are gone, that the sealer had seen. `trim`: records up to `count` were taken away to
 * make room.
 */
export interface AuditRecord {
  /** From 1 on, without gaps. */
  readonly n: number;
  readonly kind: "act" | "gap" | "loss" | "trim";
  /** ISO 8601. */
  readonly sealedAt: string;
  /** The queue whose log had it; "" for the one for all. */
  readonly log: string;
  /** Its place and its number there. */
  readonly id: string;
  readonly number: number | null;
  /** ISO 8601; null where the log had no time. */
  readonly at: string | null;
  readonly actor: string;
  readonly reason: string;
  readonly requestId: string;
  readonly verb: string;
  readonly what: string;
  readonly count: number;
  /** The hash of the record before, 64 zeros for the first. */
  readonly prev: string;
  /** SHA-256 of all of the above, in hex. */
  readonly hash: string;
  /** Which key signed it. */
  readonly key: string;
  /** Ed25519 over number and hash, in base64. */
  readonly sig: string;
}

/** The end of a chain, to be kept where those cannot write who can write to the chain. */
export type AuditHead = Pick<AuditRecord, "n" | "hash" | "sealedAt" | "key" | "sig">;

export type Unsigned = Omit<AuditRecord, "prev" | "hash" | "key" | "sig">;

export const noHash = "0".repeat(64);

const fields = [
  "n",
  "kind",
  "sealedAt",
  "log",
  "id",
  "number",
  "at",
  "actor",
  "reason",
  "requestId",
  "verb",
  "what",
  "count",
  "prev",
] as const satisfies readonly (keyof AuditRecord)[];

/** The values in this order, as JSON: one text for one record, whatever wrote the line. */
export const hashOf = (record: Pick<AuditRecord, (typeof fields)[number]>): string =>
  createHash("sha256")
    .update(JSON.stringify(["holdfast audit 1", ...fields.map((name) => record[name])]))
    .digest("hex");

const signed = ({ n, hash }: ChainEnd) => Buffer.from(`holdfast audit 1 ${n} ${hash}`);

export function sealedRecord(unsigned: Unsigned, prev: string, by: SealingKey): AuditRecord {
  const chained = { ...unsigned, prev };
  const hash = hashOf(chained);
  const sig = sign(null, signed({ n: unsigned.n, hash }), by.key).toString("base64");
  return { ...chained, hash, key: by.id, sig };
}

export const isSigned = (end: Pick<AuditHead, "n" | "hash" | "sig">, key: KeyObject): boolean =>
  verify(null, signed(end), key, Buffer.from(end.sig, "base64"));

export const headOf = ({ n, hash, sealedAt, key, sig }: AuditRecord): AuditHead => ({ n, hash, sealedAt, key, sig });

export const textOf = (record: AuditRecord): SealedText => ({
  n: record.n,
  hash: record.hash,
  text: JSON.stringify(record),
});

/** Undefined for what is no record. */
export function recordIn(line: string): AuditRecord | undefined {
  const value = storedJson(line) as Partial<Record<keyof AuditRecord, unknown>> | undefined;
  if (typeof value !== "object" || value === null) return undefined;
  const texts = [
    "kind",
    "sealedAt",
    "log",
    "id",
    "actor",
    "reason",
    "requestId",
    "verb",
    "what",
    "prev",
    "hash",
    "key",
    "sig",
  ] as const;
  const fits =
    Number.isSafeInteger(value.n) &&
    texts.every((name) => typeof value[name] === "string") &&
    typeof value.count === "number";
  return fits ? (value as AuditRecord) : undefined;
}

/** As `head` files have it; a whole record will do. */
export function headIn(text: string): AuditHead | undefined {
  const value = storedJson(text) as Partial<AuditHead> | undefined;
  const fits =
    Number.isSafeInteger(value?.n) &&
    ["hash", "key", "sig"].every((name) => typeof value?.[name as "hash"] === "string");
  return fits ? (value as AuditHead) : undefined;
}
