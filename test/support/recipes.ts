import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What each test, or machine, has of its own. */
const ownOfEach =
  /^(bind|port|dir|replicaof|tls-.*|cluster-node-timeout|sentinel (monitor|down-after-milliseconds|failover-timeout) .*)$/;

/** The configuration below a heading of docs/operate/high-availability.md whose first line, a comment, names it. */
export function recipe(heading: string, name: string): Record<string, string | string[]> {
  const page = readFileSync(join(import.meta.dirname, "../../docs/operate/high-availability.md"), "utf8");
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? "";
  const blocks = [...section.matchAll(/^```conf\n# ([^\n]*)\n([^]*?)^```/gm)];
  const block = blocks.find(([, title]) => title!.startsWith(name));
  if (block === undefined) throw new Error(`no recipe "${name}" under "${heading}"`);
  const config: Record<string, string[]> = {};
  for (const line of block[2]!
    .replaceAll(/ \\\n\s*/g, " ")
    .trim()
    .split("\n")) {
    const at = line.indexOf(" ");
    const [directive, value] = [line.slice(0, at), line.slice(at + 1)];
    if (ownOfEach.test(directive) || ownOfEach.test(line)) continue;
    (config[directive] ??= []).push(value);
  }
  return Object.fromEntries(
    Object.entries(config).map(([directive, values]) => [directive, values.length === 1 ? values[0]! : values]),
  );
}
