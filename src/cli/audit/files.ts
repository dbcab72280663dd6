import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { invalidOption } from "../../core/errors.js";
import { type AuditHead, headIn } from "../../ops/audit/record.js";
import { auditKey } from "../env.js";

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

/** Where nothing was kept yet, the log begins. */
export const headBefore = (file: string | undefined): AuditHead | undefined =>
  file !== undefined && existsSync(file) ? keptHead(file) : undefined;

/** The key to sign with. @throws OPTION_INVALID where there is none */
export function privateKeyOf(keyFile: string | undefined): string {
  const key = keyFile === undefined ? auditKey() : textIn(keyFile, "--key-file");
  if (key === undefined) throw invalidOption("--key-file", "is needed: which key is to sign? Or HOLDFAST_AUDIT_KEY");
  return key;
}

/** Whole or not at all. */
export function keepHead(file: string, head: AuditHead): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(head)}\n`);
  renameSync(`${file}.new`, file);
}
