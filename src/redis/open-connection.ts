import type { DisciplinedClock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import { Asked, Unanswered } from "./asked.js";
import { checkAccess, Connection, type Unconnected } from "./connection.js";
import type { RedisAddress } from "./redis-url.js";

/**
 * Connection.open, with the password and the certificates of this moment. What is refused to a password that was asked
 * for is refused for now (BROKER_UNAVAILABLE): the next one may be the right one.
 */
export async function openConnection(
  address: RedisAddress,
  clock: DisciplinedClock,
  timeoutMs: number,
): Promise<Connection | Unconnected> {
  const untilMs = performance.now() + timeoutMs;
  const leftMs = () => Math.max(1, untilMs - performance.now());
  const present = <T>(source: T | Asked<T>) => (source instanceof Asked ? source.value(timeoutMs / 2) : source);
  const [password, tls] = await Promise.all([present(address.password), present(address.tls)]);
  for (const answer of [password, tls]) if (answer instanceof Unanswered) return unavailable(address, answer);
  const known = { ...address, password: password as string | undefined, tls: tls as Exclude<typeof tls, Unanswered> };

  const opened = await Connection.open(known, clock, leftMs());
  if (!(address.password instanceof Asked) || refusal(opened) === undefined) return opened;
  const other = await address.password.insteadOf(known.password!, leftMs() / 2);
  const again = other === undefined ? opened : await Connection.open({ ...known, password: other }, clock, leftMs());
  const problem = refusal(again);
  return problem === undefined ? again : unavailable(address, new Unanswered(problem), "refused");
}

/** What the server says to a wrong password. */
function refusal(opened: Connection | Unconnected): string | undefined {
  if (!HoldfastError.is(opened, "BROKER_INCOMPATIBLE")) return undefined;
  const { problem } = opened.data;
  return problem.endsWith(`: ${checkAccess}`) ? problem.slice(0, -checkAccess.length - 2) : undefined;
}

function unavailable(
  { label }: RedisAddress,
  { message }: Unanswered,
  outcome: "notSent" | "refused" = "notSent",
): Unconnected {
  return new HoldfastError("BROKER_UNAVAILABLE", { broker: label, problem: message, outcome, taskIds: [] });
}
