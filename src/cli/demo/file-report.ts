import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, extname } from "node:path";
import type { TreeFile } from "./tree.js";

/** What a report sums files up by. */
const groupings = {
  folder: (file: TreeFile) => dirname(file.path).split("/")[0]!,
  kind: (file: TreeFile) => extname(file.path) || "(none)",
  size: (file: TreeFile) => `under ${2 ** Math.ceil(Math.log2(file.bytes + 1))} bytes`,
} as const;
export type ReportKind = keyof typeof groupings;
export const reportKinds = Object.keys(groupings) as ReportKind[];

/** Write a report as CSV. It appears whole or not at all: whoever waits for it never reads half of it. */
export async function writeReport(path: string, kind: ReportKind, files: readonly TreeFile[]): Promise<void> {
  const totals = new Map<string, { files: number; bytes: number }>();
  for (const file of files) {
    const name = groupings[kind](file);
    const { files: count, bytes } = totals.get(name) ?? { files: 0, bytes: 0 };
    totals.set(name, { files: count + 1, bytes: bytes + file.bytes });
  }
  const rows = [...totals].map(
    ([name, { files: count, bytes }]) => `"${name.replaceAll('"', '""')}",${count},${bytes}\n`,
  );
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.part`, `${kind},files,bytes\n${rows.join("")}`);
  await rename(`${path}.part`, path);
}
