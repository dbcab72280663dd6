import { createHash } from "node:crypto";
import { repeatHorizonMs, type TaskRef } from "../broker/broker.js";
import type { StoredCopy } from "../broker/letter-marks.js";
import type { Act } from "../broker/roles.js";
import type { StoredLetter } from "../broker/stored-letter.js";
import { decodeMessage } from "../core/codec.js";
import { HoldfastError, invalidOption, shown } from "../core/errors.js";
import { newId } from "../core/ids.js";
import { isJson } from "../core/json-text.js";
import { lineage } from "../core/lineage.js";
import { defaultTimeoutMs, type NewTask, type TaskMessage, uniqueKey } from "../core/message.js";
import { queueName, storedName } from "../core/names.js";
import { decodePayload, json, payloadSettings } from "../core/payload.js";
import { readable } from "../core/protobuf.js";
import { type Given, resolve, setting } from "../core/settings.js";
import { type AnyDefinition, validate } from "../core/task.js";
import { bySettings } from "../inspector/options.js";
import type { Desk } from "./desk.js";

export const copySettings = {
  ...bySettings,
  ...payloadSettings,
  queue: setting.text({
    default: undefined,
    allowed: "1 to 128 letters, digits or _ . : -",
    says: "the queue of the copy; that of the original unless given",
    parse: queueName,
  }),
  unique: setting.duration({
    default: undefined,
    min: "1s",
    says: "for how long the copy holds its unique lock; 1h unless given where the original had one, else none",
  }),
  anyBytes: setting.flag({
    default: false,
    says: "take a payload that is no JSON where the original is JSON",
  }),
};

export interface CopyOptions extends Given<typeof copySettings> {
  /** Text as it is to be stored, or bytes; that of the original unless given. Nothing is parsed and written again. */
  readonly payload?: string | Uint8Array | undefined;
  /** Its codec and schema must take the payload. */
  readonly definition?: AnyDefinition | undefined;
}

export type CopyResult =
  /** `again`: an earlier call with the same request made it. */
  | { readonly status: "copied"; readonly queue: string; readonly id: string; readonly again: boolean }
  /** This task holds the unique lock that the copy would need; it may be the original itself. */
  | { readonly status: "duplicate"; readonly holder: string }
  /**
   * A call with the same request was broken off a while ago, and nothing tells whether its copy has been run since. With
   * another request a copy is made in any case.
   */
  | { readonly status: "unknown"; readonly queue: string; readonly id: string }
  /** The original is not there, or is no dead letter. */
  | { readonly status: "notFound" | "wrongState" };

/** Without a time of its own, so long: the original's is not known any more. */
const defaultUniqueMs = 3_600_000;

/**
 * First the original notes which copy is about to be made under this request, then the copy is enqueued, then noted as made:
 * wherever that breaks off, the same request goes on with the same copy.
 */
export async function copy(
  desk: Desk,
  queue: string,
  id: string,
  { payload, definition, ...options }: CopyOptions = {},
): Promise<CopyResult> {
  const { queue: to = queue, uniqueMs, anyBytes, maxPayloadBytes, ...given } = resolve(copySettings, options, "copy");
  const by = desk.act(given, "copy");
  const of = { queue: storedName(queue, "copy.queue"), id: storedName(id, "copy.id") };
  const [letter] = await desk.store.readLetters([of]);
  if (letter === undefined) return { status: (await isThere(desk, of)) ? "wrongState" : "notFound" };
  const original = readable(decodeMessage, letter.message);
  if (original === undefined) throw invalidOption("copy.id", "what is stored of this task cannot be decoded");
  const bytes = payloadBytes(payload) ?? original.payload;
  await requireFit(original, bytes, { definition, anyBytes, maxPayloadBytes });

  const nowMs = desk.nowMs();
  const uniqueForMs = uniqueMs ?? (original.uniqueKey === "" ? 0 : defaultUniqueMs);
  const task = newCopy(letter, original, { queue: to, id: newId(nowMs), payload: bytes, uniqueForMs }, nowMs);
  const digest = createHash("sha256").update(`${to}\0`).update(bytes).digest("hex").slice(0, 16);
  const begun = await desk.store.beginCopy(of, { queue: to, id: task.message.id, digest }, by, nowMs);
  switch (begun.status) {
    case "begun":
      return put(desk, of, task, by, false);
    case "known":
      if (begun.copy.digest !== digest)
        throw invalidOption("copy.requestId", "was used for a copy with another payload, or to another queue");
      return goOn(desk, of, task, begun.copy, by);
    case "notFound":
    case "wrongState":
      return { status: begun.status };
  }
}

/** @throws OPTION_INVALID */
function payloadBytes(payload: unknown): Uint8Array | undefined {
  if (payload === undefined || payload instanceof Uint8Array) return payload;
  if (typeof payload === "string") return Buffer.from(payload);
  throw invalidOption("copy.payload", `must be a string or a Uint8Array, got ${shown(payload)}`);
}

/** @throws PAYLOAD_INVALID PAYLOAD_TOO_LARGE OPTION_INVALID */
async function requireFit(
  { type, payload: before }: TaskMessage,
  payload: Uint8Array,
  { definition, anyBytes, maxPayloadBytes: maxBytes }: FitOptions,
): Promise<void> {
  if (payload.length > maxBytes)
    throw new HoldfastError("PAYLOAD_TOO_LARGE", { type, bytes: payload.length, maxBytes });
  if (definition !== undefined) {
    if (definition.type !== type)
      throw invalidOption("copy.definition", `must be of the type ${shown(type)}, got ${shown(definition.type)}`);
    const value: unknown = decodePayload(definition.codec, payload, type);
    if (definition.schema !== undefined) await validate(definition.schema, value, type, "PAYLOAD_INVALID");
  } else if (!anyBytes && isJson(Buffer.from(before).toString())) decodePayload(json, payload, type);
}

interface FitOptions {
  readonly definition: AnyDefinition | undefined;
  readonly anyBytes: boolean;
  readonly maxPayloadBytes: number;
}

interface Wanted extends TaskRef {
  readonly payload: Uint8Array;
  readonly uniqueForMs: number;
}

/** A task that has not run yet, with the original's options. A deadline that has passed is left out: it would die of it. */
function newCopy(
  { queue: ofQueue, id: ofId, fields }: StoredLetter,
  original: TaskMessage,
  { queue, id, payload, uniqueForMs }: Wanted,
  nowMs: number,
): NewTask {
  const deadlineMs = original.deadlineMs > nowMs ? original.deadlineMs : 0;
  const headers = Object.assign(Object.create(null) as Record<string, string>, original.headers, {
    [lineage]: `${ofQueue}/${ofId}`,
  });
  return {
    message: {
      ...original,
      id,
      queue,
      payload,
      retried: 0,
      lastError: "",
      lastFailedAtMs: 0,
      completedAtMs: 0,
      group: "",
      deadlineMs,
      timeoutMs: original.timeoutMs === 0 && deadlineMs === 0 ? defaultTimeoutMs : original.timeoutMs,
      uniqueKey: uniqueForMs === 0 ? "" : uniqueKey(queue, original.type, payload.length === 0 ? null : payload),
      headers,
    },
    processAtMs: 0,
    uniqueForMs,
    atMostOnce: Buffer.from(fields.get("once") ?? []).toString() === "1",
    // Storage takes one with this id once.
    repeat: true,
  };
}

async function put(
  { broker, store, nowMs }: Desk,
  of: TaskRef,
  task: NewTask,
  by: Act,
  again: boolean,
): Promise<CopyResult> {
  const { queue, id } = task.message;
  const [receipt] = await broker.enqueue([task], nowMs());
  const made = receipt?.status !== "duplicate" && receipt?.status !== "idTaken";
  await store.endCopy(of, made, by, nowMs());
  return made ? { status: "copied", queue, id, again } : { status: "duplicate", holder: receipt.id };
}

/** The same request again: its reply was lost, or the one before broke off. */
async function goOn(desk: Desk, of: TaskRef, task: NewTask, known: StoredCopy, by: Act): Promise<CopyResult> {
  const { queue, id } = known;
  if (known.done === true) return { status: "copied", queue, id, again: true };
  if (await isThere(desk, known)) {
    await desk.store.endCopy(of, true, by, desk.nowMs());
    return { status: "copied", queue, id, again: true };
  }
  // For so long storage knows an id again that has been run and deleted meanwhile.
  if (desk.nowMs() - known.at > repeatHorizonMs) return { status: "unknown", queue, id };
  return put(desk, of, { ...task, message: { ...task.message, id } }, by, true);
}

async function isThere({ broker }: Desk, { queue, id }: TaskRef): Promise<boolean> {
  return (await broker.find([{ queue, id }]))[0] !== undefined;
}
