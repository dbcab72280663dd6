import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { invalidOption } from "../../core/errors.js";
import { isJson, packed, setOut } from "../../core/json-text.js";
import { CalledOff } from "../confirm.js";
import { editor } from "../env.js";
import { textOf } from "../payload-view.js";

/**
 * The payload as a person has edited it. JSON of one line is set out for that, and is one line again afterwards; no number
 * is read. @throws OPTION_INVALID where nobody can edit; CalledOff where nothing was changed
 */
export async function edited(payload: Uint8Array): Promise<Uint8Array> {
  const text = textOf(payload);
  if (text === undefined)
    throw invalidOption("--file", "is needed, or --base64: the old payload is no text, so no editor opens");
  const [program, ...args] = (editor() ?? "").split(" ").filter((word) => word !== "");
  if (program === undefined || !process.stdin.isTTY || !process.stdout.isTTY)
    throw invalidOption("--file", "is needed, or --set: there is no $EDITOR, or nobody to use it");
  const isSetOut = isJson(text) && !text.includes("\n");
  const before = isSetOut ? `${setOut(text)}\n` : text;
  // Payloads are nobody else's to read.
  const folder = mkdtempSync(join(tmpdir(), "holdfast-"));
  const file = join(folder, isJson(text) ? "payload.json" : "payload.txt");
  try {
    writeFileSync(file, before, { mode: 0o600 });
    const { status, error } = spawnSync(program, [...args, file], { stdio: "inherit" });
    if (error !== undefined || status !== 0) throw invalidOption("$EDITOR", `${program} ended with an error`);
    const after = readFileSync(file, "utf8");
    if (after === before) throw new CalledOff("nothing was changed, nothing was done");
    return Buffer.from(isSetOut && isJson(after) ? packed(after) : after);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
