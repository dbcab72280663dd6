import type { NewAct } from "../broker/audit.js";
import { HoldfastError } from "../core/errors.js";
import type { Desk } from "./desk.js";

/**
 * What cannot be recorded with its deed is recorded before it, so that nothing is done that nobody knows of. What is refused
 * all the same, for others were faster, is recorded as that. Who dies between the two leaves a record of what was not done.
 */
export async function recorded<T>(
  { audit, nowMs }: Pick<Desk, "audit" | "nowMs">,
  act: NewAct,
  deed: () => Promise<T>,
): Promise<T> {
  await audit.append([act], nowMs());
  try {
    return await deed();
  } catch (error) {
    // Of storage that is away nobody knows whether it has done it.
    const isRefused = error instanceof HoldfastError && error.code !== "BROKER_UNAVAILABLE";
    if (isRefused) {
      const refused = { ...act, verb: `${act.verb} refused`, count: 0 };
      // Why it was refused is what the caller must hear; that this is not on record goes with it.
      await audit.append([refused], nowMs()).catch((unrecorded: unknown) => (error.cause ??= unrecorded));
    }
    throw error;
  }
}
