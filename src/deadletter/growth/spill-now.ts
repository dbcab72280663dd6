import { invalidOption, shown } from "../../core/errors.js";
import type { TaskInfo } from "../../core/info.js";
import { storedName } from "../../core/names.js";
import { type Given, resolve, setting } from "../../core/settings.js";
import { portions } from "../../core/portions.js";
import type { ByOptions } from "../../inspector/options.js";
import { scanPage } from "../../inspector/pages.js";
import { checkedSelection } from "../../inspector/selection.js";
import type { Desk } from "../desk.js";
import { spill } from "./evicting.js";
import { type SpillOptions, SpillTarget } from "./spill-target.js";

const chosenSettings = {
  type: setting.text({ default: undefined, allowed: "a type's name", says: "of this type alone", parse: storedName }),
  olderThan: setting.duration({ default: undefined, says: "those that died longer ago" }),
};

/** Dead letters of one queue: these ids; or all, those of a type, those older than so long. */
export type SpillSelection =
  | { readonly queue: string; readonly ids: readonly string[] }
  | ({ readonly queue: string; readonly ids?: never } & Given<typeof chosenSettings>);

export interface SpillNowOptions extends SpillOptions, ByOptions {
  readonly directory: string;
  /** Stops between two portions; the answer says what was done. */
  readonly signal?: AbortSignal | undefined;
  /** After each portion, with how many are in files and out of storage. */
  readonly onProgress?: ((spilled: number) => void) | undefined;
}

export interface Spilled {
  /** In a file, and out of storage. */
  readonly spilled: number;
  /** Not there, no dead letter, or changed while it was spilled. */
  readonly skipped: number;
  readonly files: readonly string[];
}

/** @throws OPTION_INVALID SPILL_FAILED */
export async function spillNow(desk: Desk, selection: SpillSelection, options: SpillNowOptions): Promise<Spilled> {
  const { directory, key, signal, onProgress, ...by } = options;
  const act = desk.act(by, "spill");
  const target = SpillTarget.from({ directory, key }, () => desk.nowMs());
  if (target === undefined) throw invalidOption("spill.directory", `must be a path, got ${shown(directory)}`);
  let [spilled, skipped] = [0, 0];
  const files = new Set<string>();
  try {
    for await (const { queue, tasks, missing } of chosen(desk, selection)) {
      const done = await spill(desk, target, queue, tasks, "spilled_by_hand", act);
      spilled += done.gone;
      skipped += tasks.length - done.gone + missing;
      for (const file of done.files) files.add(file);
      onProgress?.(spilled);
      if (signal?.aborted === true) break;
    }
  } finally {
    await target.close();
  }
  return { spilled, skipped, files: [...files] };
}

interface Portion {
  readonly queue: string;
  readonly tasks: readonly TaskInfo[];
  readonly missing: number;
}

/** Only what was there when it began: what dies meanwhile is behind the end. */
async function* chosen(desk: Desk, selection: SpillSelection): AsyncGenerator<Portion> {
  if (selection.ids !== undefined) return yield* byIds(desk, selection);
  const { queue: given, ...rest } = selection;
  const queue = storedName(given, "spill.queue");
  const { type, olderThanMs = 0 } = resolve(chosenSettings, rest, "spill");
  const beforeMs = desk.nowMs() - olderThanMs;
  let cursor: string | undefined;
  do {
    const page = await desk.broker.list({ queue, state: "archived" }, { limit: scanPage, cursor });
    const inTime = page.items.filter(({ archivedAtMs = 0 }) => archivedAtMs <= beforeMs);
    const tasks = inTime.filter(({ message }) => type === undefined || message?.type === type);
    if (tasks.length > 0) yield { queue, tasks, missing: 0 };
    cursor = inTime.length < page.items.length ? undefined : page.next;
  } while (cursor !== undefined);
}

async function* byIds(
  { broker }: Desk,
  selection: Extract<SpillSelection, { readonly ids: readonly string[] }>,
): AsyncGenerator<Portion> {
  const checked = checkedSelection(selection, "spill");
  if (!("ids" in checked)) return;
  const { queue, ids } = checked;
  for (const some of portions(ids, scanPage)) {
    const found = await broker.find(some.map((id) => ({ queue, id })));
    const tasks = found.filter((task) => task?.state === "archived") as TaskInfo[];
    yield { queue, tasks, missing: some.length - tasks.length };
  }
}
