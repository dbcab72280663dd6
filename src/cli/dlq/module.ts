import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { invalidOption } from "../../core/errors.js";
import type { AnyDefinition } from "../../core/task.js";
import type { ReplayHandler } from "../../deadletter/index.js";

export interface HandlerModule {
  readonly handler: ReplayHandler | undefined;
  readonly definition: AnyDefinition | undefined;
}

/**
 * A module of the user's: its handler (`default`, `handler`, or the export that is named) and, wherever in it, the definition
 * of that type.
 * @throws OPTION_INVALID where there is no such file, or this Node.js cannot load it
 */
export async function loadModule(file: string, type: string, name: string | undefined): Promise<HandlerModule> {
  const path = resolve(file);
  if (!existsSync(path)) throw invalidOption("HANDLER", `there is no file ${JSON.stringify(path)}`);
  let exported: Record<string, unknown>;
  try {
    exported = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_UNKNOWN_FILE_EXTENSION") throw error;
    throw invalidOption(
      "HANDLER",
      `this Node.js (${process.version}) loads no TypeScript by itself: NODE_OPTIONS="--import tsx" before the command does, or Node.js 22.18 and later`,
    );
  }
  // What was CommonJS has all its names in its default, too.
  const inner = exported["default"];
  const names: Record<string, unknown> =
    typeof inner === "object" && inner !== null ? { ...(inner as Record<string, unknown>), ...exported } : exported;
  const definition = Object.values(names).find((value) => isDefinition(value) && value.type === type) as
    | AnyDefinition
    | undefined;
  const candidates = name === undefined ? [inner, names["default"], names["handler"]] : [names[name]];
  const handler = candidates.find((value) => typeof value === "function" && !isDefinition(value));
  if (name !== undefined && handler === undefined)
    throw invalidOption(
      "--export",
      `names no function of ${JSON.stringify(path)}; there are ${Object.keys(names).join(", ")}`,
    );
  return { handler: handler as ReplayHandler | undefined, definition };
}

const isDefinition = (value: unknown): value is AnyDefinition =>
  typeof value === "function" && "codec" in value && "type" in value && "options" in value;
