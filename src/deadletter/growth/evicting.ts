import type { EvictionCause } from "../../broker/eviction.js";
import type { Act } from "../../broker/roles.js";
import type { TaskInfo } from "../../core/info.js";
import type { Desk } from "../desk.js";
import type { SpillTarget } from "./spill-target.js";

/** Dead letters that are read whole at once. */
const mostBytes = 8_388_608;

export interface Evicted {
  /** Those that are gone from storage. */
  readonly gone: number;
  /** Where they are now. */
  readonly files: readonly string[];
}

/** Away with dead letters of one queue that were seen so; what has changed since stays. */
export async function drop(
  { store, nowMs }: Desk,
  queue: string,
  tasks: readonly TaskInfo[],
  cause: EvictionCause,
  by: Act,
): Promise<Evicted> {
  const seen = tasks.map(({ id, archivedAtMs = 0, bytes }) => ({ id, archivedAtMs, message: bytes }));
  return { gone: goneOf(await store.evict(queue, seen, cause, by, nowMs())), files: [] };
}

/**
 * First they are in a file that is on the disk; then they go, each only if it is still what the file has. Ended anywhere, it
 * leaves every dead letter in storage, in a file, or in both.
 */
export async function spill(
  { store, nowMs }: Desk,
  target: SpillTarget,
  queue: string,
  tasks: readonly TaskInfo[],
  cause: EvictionCause,
  by: Act,
): Promise<Evicted> {
  let gone = 0;
  const files = new Set<string>();
  for (const some of portions(tasks)) {
    const read = await store.readLetters(some.map(({ id }) => ({ queue, id })));
    const letters = read.filter((letter) => letter !== undefined);
    if (letters.length === 0) continue;
    files.add(await target.write(letters));
    gone += goneOf(await store.evict(queue, letters, cause, by, nowMs()));
  }
  return { gone, files: [...files] };
}

const goneOf = (receipts: readonly string[]) => receipts.filter((one) => one === "evicted").length;

function* portions(tasks: readonly TaskInfo[]): Generator<readonly TaskInfo[]> {
  let some: TaskInfo[] = [];
  let bytes = 0;
  for (const task of tasks) {
    if (some.length > 0 && bytes + task.bytes.length > mostBytes) {
      yield some;
      some = [];
      bytes = 0;
    }
    some.push(task);
    bytes += task.bytes.length;
  }
  if (some.length > 0) yield some;
}
