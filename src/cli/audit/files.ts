import { accessSync, constants, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
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
export function keptHead(file: string, option = "--head"): AuditHead {
  const head = headIn(textIn(file, option));
  if (head === undefined) throw invalidOption(option, `${JSON.stringify(file)} holds no head of an audit log`);
  return head;
}

/** Where nothing was kept yet, the log begins. @throws OPTION_INVALID also where nothing could be kept: before the work */
export function headBefore(file: string | undefined, option = "--head"): AuditHead | undefined {
  if (file === undefined) return undefined;
  try {
    accessSync(dirname(file), constants.W_OK);
  } catch (error) {
    throw invalidOption(option, `cannot be written: ${(error as Error).message}`);
  }
  return existsSync(file) ? keptHead(file, option) : undefined;
}

/** The key to sign with. @throws OPTION_INVALID where there is none */
export function privateKeyOf(keyFile: string | undefined, option = "--key-file"): string {
  const key = keyFile === undefined ? auditKey() : textIn(keyFile, option);
  if (key === undefined) throw invalidOption(option, "is needed: which key is to sign? Or HOLDFAST_AUDIT_KEY");
  return key;
}

/** Whole or not at all. */
export function keepHead(file: string, head: AuditHead): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(head)}\n`);
  renameSync(`${file}.new`, file);
}
