import type { Assurance } from "../broker/broker.js";
import { HoldfastError } from "../core/errors.js";
import type { Outgoing } from "./connection.js";
import { LinkError, type Reply } from "./link.js";

/** What a server has confirmed of all that was written on a connection so far. */
export interface Confirmed {
  /** It is on the server's own disk, where that was asked. */
  readonly here: boolean;
  readonly replicas: number;
  /** Replicas that the server has at the moment; 0 where it may not be asked. */
  readonly there: number;
}

/** How a connection's server confirms: what to send behind the writes, and what its replies mean. */
export interface Witness {
  /** Why it can never say how many replicas have something, where it cannot. */
  readonly uncounted?: HoldfastError<"BROKER_INCOMPATIBLE">;
  commands(replicas: number, waitMs: number): Outgoing[];
  /** @throws BROKER_INCOMPATIBLE; BROKER_UNAVAILABLE where it cannot be confirmed now */
  read(replies: readonly Reply[]): Confirmed;
}

type Ask = (commands: readonly Outgoing[]) => Promise<Reply[]>;

/** The way there is with this server. @throws BROKER_INCOMPATIBLE where there is none, saying what it needs */
export async function witnessFor(of: Assurance["of"], broker: string, ask: Ask): Promise<Witness> {
  if (of === "replicas") {
    const [allowed] = await ask([{ name: "WAIT", args: [0, 1] }]);
    if (allowed instanceof LinkError) throw unable(broker, allowed);
    return replicasWitness(broker);
  }
  const [probe] = await ask([{ name: "WAITAOF", args: [1, 0, 1] }]);
  if (!(probe instanceof LinkError)) return waitAofWitness(broker);
  if (!/unknown command/i.test(probe.problem)) throw unable(broker, probe);
  const witness = alwaysWitness(broker);
  witness.read(await ask(witness.commands(0, 1)));
  return witness;
}

/** Each replica tells how far it is; the master counts those that have all that this connection wrote. */
const replicasWitness = (broker: string): Witness => ({
  commands: (replicas, waitMs) => [
    { name: "ROLE", args: [] },
    { name: "WAIT", args: [replicas, waitMs] },
  ],
  read([role, replicas]) {
    if (replicas instanceof LinkError) throw unable(broker, replicas);
    // Who may not ask how many there are goes by what was asked for.
    if (role instanceof LinkError && role.code !== "NOPERM") throw unable(broker, role);
    const there = Array.isArray(role) && Array.isArray(role[2]) ? role[2].length : 0;
    return { here: true, replicas: Number(replicas), there };
  },
});

/** Redis 7.2 or newer. */
const waitAofWitness = (broker: string): Witness => ({
  commands: (replicas, waitMs) => [{ name: "WAITAOF", args: [1, replicas, waitMs] }],
  read([reply]) {
    if (reply instanceof LinkError) throw unable(broker, reply);
    const [here, replicas] = Array.isArray(reply) ? reply.map(Number) : [];
    return { here: here === 1, replicas: replicas ?? 0, there: 0 };
  },
});

/**
 * Before 7.2 a server that fsyncs always has done so before any reply leaves it, and with any other setting nothing can be
 * known. It is asked each time, for settings can be changed while it runs.
 */
const alwaysWitness = (broker: string): Witness => ({
  uncounted: new HoldfastError("BROKER_INCOMPATIBLE", {
    broker,
    problem:
      'accept "fsync" with replicas needs Redis 7.2 or newer (WAITAOF): an older one cannot say what they have on disk',
  }),
  commands: () => [{ name: "CONFIG", args: ["GET", "*append*"] }],
  read([reply]) {
    if (reply instanceof LinkError) throw unable(broker, reply, "where there is no WAITAOF (Redis 7.2), ");
    const texts = Array.isArray(reply) ? reply.map(String) : [];
    const is = (name: string) => texts[texts.indexOf(name) + 1];
    const always =
      is("appendonly") === "yes" && is("appendfsync") === "always" && is("no-appendfsync-on-rewrite") === "no";
    if (always) return { here: true, replicas: 0, there: 0 };
    throw new HoldfastError("BROKER_INCOMPATIBLE", {
      broker,
      problem:
        'accept "fsync" needs Redis 7.2 or newer (WAITAOF), or appendonly yes, appendfsync always and ' +
        `no-appendfsync-on-rewrite no; here they are ${is("appendonly")}, ${is("appendfsync")} and ${is("no-appendfsync-on-rewrite")}`,
    });
  },
});

/** From a server that is, or has just become, another's replica. */
export const isReplicas = ({ code, problem }: LinkError): boolean =>
  code === "UNBLOCKED" || problem.includes("replica instances");

/** A server without the command, or without what it is about. */
const never = /unknown (sub)?command|appendonly is disabled/i;

/** What is never going to be allowed; or what this server, or a proxy before it, could not do now. */
function unable(broker: string, { code, problem }: LinkError, when = ""): HoldfastError {
  if (code !== "NOPERM" && !never.test(problem))
    return new HoldfastError("BROKER_UNAVAILABLE", { broker, problem, outcome: "refused", taskIds: [] });
  return new HoldfastError("BROKER_INCOMPATIBLE", {
    broker,
    problem: `accept cannot be confirmed: ${problem}${code === "NOPERM" ? `; ${when}the Redis user needs the right to it` : ""}`,
  });
}
