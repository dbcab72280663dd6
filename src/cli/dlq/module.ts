import { statSync } from "node:fs";
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
 * @param option as which it was given
 * @throws OPTION_INVALID where there is no such file, it throws, or this Node.js cannot load it
 */
export async function loadModule(
  file: string,
  option: string,
  type: string,
  name: string | undefined,
): Promise<HandlerModule> {
  const path = resolve(file);
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true)
    throw invalidOption(option, `there is no file ${JSON.stringify(path)}`);
  const { href } = pathToFileURL(path);
  let exported: Record<string, unknown>;
  try {
    exported = (await import(href)) as Record<string, unknown>;
  } catch (error) {
    throw invalidOption(option, `cannot be loaded: ${whyNot(error, [href, path])}`);
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
      `names no function of ${JSON.stringify(path)}; it exports ${Object.keys(names).join(", ") || "nothing"}`,
    );
  return { handler: handler as ReplayHandler | undefined, definition };
}

/** In a sentence, with the place in the module where there is one. */
function whyNot(error: unknown, places: readonly string[]): string {
  if ((error as NodeJS.ErrnoException | null)?.code === "ERR_UNKNOWN_FILE_EXTENSION")
    return `this Node.js (${process.version}) loads no TypeScript by itself: NODE_OPTIONS="--import tsx" before the command does, or Node.js 22.18 and later`;
  if (!(error instanceof Error)) return String(error);
  const frames = (error.stack ?? "").split("\n").map((line) => line.trim());
  const frame = frames.find((line) => line.startsWith("at ") && places.some((place) => line.includes(place)));
  return `${error.name}: ${error.message}${frame === undefined ? "" : ` (${frame})`}`;
}

const isDefinition = (value: unknown): value is AnyDefinition =>
  typeof value === "function" && "codec" in value && "type" in value && "options" in value;
