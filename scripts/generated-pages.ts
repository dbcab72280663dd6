import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cliHelp } from "./cli-help.js";
import { errorTable } from "./error-table.js";
import { monitorTables } from "./monitor-tables.js";
import { optionTables } from "./option-tables.js";
import { stateDiagram, stateTable } from "./state-tables.js";

export interface GeneratedPage {
  readonly path: string;
  readonly text: string;
}

/** Pages with places for generated text: `<!-- begin NAME -->` … `<!-- end NAME -->`. */
const parts: Record<string, () => Record<string, string>> = {
  "docs/reference/cli.md": () => ({ commands: cliHelp() }),
  "docs/reference/errors.md": () => ({ errors: errorTable() }),
  "docs/reference/options.md": optionTables,
  "docs/operate/monitoring.md": monitorTables,
  "docs/internals/state-machine.md": () => ({ diagram: stateDiagram(), moves: stateTable() }),
};

/** Each page as it should be. @throws when a page lacks a place, or has one that nobody fills */
export function generatedPages(): GeneratedPage[] {
  return Object.entries(parts).map(([path, make]) => {
    const page = readFileSync(join(import.meta.dirname, "..", path), "utf8");
    return { path, text: filled(page, make(), path) };
  });
}

const place = /(<!-- begin ([\w-]+) -->\n)[^]*?(<!-- end \2 -->)/g;

export function filled(page: string, texts: Readonly<Record<string, string>>, path: string): string {
  const left = new Set(Object.keys(texts));
  const text = page.replace(place, (_whole, begin: string, name: string, end: string) => {
    if (!left.delete(name)) throw new Error(`${path}: nobody fills <!-- begin ${name} -->`);
    return `${begin}${texts[name]!.trim()}\n${end}`;
  });
  if (left.size > 0) throw new Error(`${path} has no place for: ${[...left].join(", ")}`);
  return text;
}
