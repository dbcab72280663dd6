import type { DeadLetters } from "../../deadletter/index.js";
import type { StorageFlags } from "../flags.js";
import { type Opened, withStorageOpen } from "../storage.js";

export interface OpenedLetters extends Opened {
  readonly letters: DeadLetters;
}

/** Opens storage for one command about dead letters, and lets go of it. */
export async function withDeadLetters<T>(
  flags: StorageFlags,
  work: (opened: OpenedLetters) => Promise<T>,
  how: Parameters<typeof withStorageOpen>[2] = {},
): Promise<T> {
  return withStorageOpen(
    flags,
    async (opened) => {
      const { DeadLetters } = await import("../../deadletter/index.js");
      return work({ ...opened, letters: new DeadLetters(opened.broker) });
    },
    how,
  );
}
