import type { TaskRef } from "../../broker/broker.js";
import {
  type AcknowledgeReceipt,
  type CopyBegun,
  maxCopies,
  type NewCopy,
  type QuarantineReceipt,
  type StoredCopy,
  storedCopy,
} from "../../broker/letter-marks.js";
import type { Act } from "../../broker/roles.js";
import { markText } from "../../broker/stored-marks.js";
import { storedJson } from "../../core/stored-json.js";
import { textIn, throwProblems, unreadable } from "../answers.js";
import { keysOf } from "../keys.js";
import { type Caller, LinkError } from "../link.js";
import { copy as copyCall, label as labelCall } from "../scripts.gen.js";
import { answerById } from "./by-ids.js";
import { who } from "./trash.js";

export const acknowledge = labelling<AcknowledgeReceipt>("hf_ack", "acknowledge", "acknowledged");
export const quarantine = labelling<QuarantineReceipt>("hf_quarantine", "quarantine", "marked");

/** A mark in a field of theirs, or (`on` false) none any more. */
function labelling<R extends AcknowledgeReceipt | QuarantineReceipt>(field: string, verb: string, done: R) {
  const receiptOf = { m: done, n: "notFound", w: "wrongState" } as const;
  return async (link: Caller, queue: string, ids: readonly string[], on: boolean, by: Act, nowMs: number) => {
    const head = { nowMs, field, mark: on ? markText(by, nowMs) : "", verb: on ? verb : `un${verb}`, ...who(by) };
    return answerById(link, ids, (some) => labelCall(keysOf(queue), { ...head, ids: some }), receiptOf);
  };
}

export async function beginCopy(link: Caller, of: TaskRef, copy: NewCopy, by: Act, nowMs: number): Promise<CopyBegun> {
  const answer = await noteCopy(link, of, "begin", JSON.stringify(storedCopy(copy, by, nowMs)), by, nowMs);
  if (Array.isArray(answer)) return { status: "known", copy: storedJson(answer[0]) as StoredCopy };
  if (answer === "begun" || answer === "notFound" || answer === "wrongState") return { status: answer };
  throw unreadable(link.label);
}

export async function endCopy(link: Caller, of: TaskRef, made: boolean, by: Act, nowMs: number): Promise<void> {
  await noteCopy(link, of, made ? "done" : "refused", "{}", by, nowMs);
}

/** The script's word, or in a list what it found noted. */
async function noteCopy(
  link: Caller,
  { queue, id }: TaskRef,
  act: "begin" | "done" | "refused",
  note: string,
  by: Act,
  nowMs: number,
): Promise<string | [string]> {
  const call = copyCall(keysOf(queue), { nowMs, id, act, note, most: maxCopies, ...who(by) });
  const [reply] = await link.run([call], { taskIds: [id] });
  if (reply instanceof LinkError) throw reply.toError(link.label, [id]);
  if (Buffer.isBuffer(reply)) return String(reply);
  if (!Array.isArray(reply)) throw unreadable(link.label);
  const [kind, text] = reply.map((part) => textIn(link.label, part));
  if (kind === "problem") throwProblems(link.label, [text!]);
  return [text!];
}
