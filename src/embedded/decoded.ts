import { decodeMessage } from "../core/codec.js";
import type { TaskMessage } from "../core/message.js";

/** For those who go on without it where the stored message cannot be decoded. */
export function decoded(bytes: Uint8Array): TaskMessage | undefined {
  try {
    return decodeMessage(bytes);
  } catch {
    return undefined;
  }
}
