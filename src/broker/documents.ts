import { invalidOption } from "../core/errors.js";

/**
 * What is kept of dead letters beside the tasks themselves, as small JSON documents: what people said of a group, rules,
 * redrives, policies, the state of alerts. Names are stored, so they are only ever added.
 */
export const documentKinds = [
  "group",
  "rule",
  "redrive",
  "redrive-ended",
  "redrive-queues",
  "policy",
  "alert",
  "duty",
  "counter",
  "audit",
] as const;
export type DocumentKind = (typeof documentKinds)[number];

export interface StoredDocument {
  /** 1 … 200 characters. */
  readonly id: string;
  /** The time of its last change, Unix ms, or one more than the version before: it only ever grows. */
  readonly version: number;
  /** What JSON can hold. */
  readonly value: unknown;
}

export interface DocumentWrite {
  readonly id: string;
  /** What JSON can hold; undefined deletes the document. */
  readonly value: unknown;
  /** The version that was read, 0 where there was none: what has changed since is left alone. */
  readonly ifVersion: number;
}

/** `conflict`: it has another version than was said; read it again. `full`: there are so many of its kind that no new one is taken. */
export type DocumentReceipt =
  | { readonly status: "written"; readonly version: number }
  | { readonly status: "conflict" | "full" };

/** At most so many of a kind. */
export const maxDocuments = 10_000;
/** UTF-8 bytes of a document's JSON. */
const maxDocumentBytes = 65_536;

export interface Documents {
  /** Those of these ids that there are, or all of the kind; by id. What is stored and is no document is left out. */
  readDocuments(kind: DocumentKind, ids?: readonly string[]): Promise<StoredDocument[]>;
  /**
   * Each by itself, in order; all in one trip.
   * @throws OPTION_INVALID for one of more than 64 KiB; nothing is written then
   */
  writeDocuments(kind: DocumentKind, writes: readonly DocumentWrite[], nowMs: number): Promise<DocumentReceipt[]>;
}

/** Whether a document can hold it. */
export const fitsDocument = (value: unknown): boolean => Buffer.byteLength(JSON.stringify(value)) <= maxDocumentBytes;

/** A document's JSON; "" where it is to be deleted. @throws OPTION_INVALID */
export function textOf(id: string, value: unknown): string {
  if (value === undefined) return "";
  const text = JSON.stringify(value);
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxDocumentBytes) return text;
  throw invalidOption("document", `${JSON.stringify(id)} must have at most ${maxDocumentBytes} bytes, has ${bytes}`);
}

/** As an engine stores it: "version text". */
export function documentOf(id: string, stored: string): StoredDocument[] {
  const [, version, text] = /^(\d{1,16}) (.*)$/s.exec(stored) ?? [];
  if (version === undefined || text === undefined) return [];
  try {
    return [{ id, version: Number(version), value: JSON.parse(text) }];
  } catch {
    return [];
  }
}
