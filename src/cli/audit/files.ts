import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { invalidOption } from "../../core/errors.js";
import { type AuditHead, headIn } from "../../ops/audit/record.js";

/** @throws OPTION_INVALID */
export function textIn(file: string, option: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw invalidOption(option, `cannot be read: ${(error as Error).message}`);
  }
}

/** @throws OPTION_INVALID for a file that is there and holds no head */
export function keptHead(file: string): AuditHead {
  const head = headIn(textIn(file, "--head"));
  if (head === undefined) throw invalidOption("--head", `${JSON.stringify(file)} holds no head of an audit log`);
  return head;
}

/** Whole or not at all. */
export function keepHead(file: string, head: AuditHead): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(head)}\n`);
  renameSync(`${file}.new`, file);
}
