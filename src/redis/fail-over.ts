import { DisciplinedClock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import { pause } from "../core/loop.js";
import type { FailedOver } from "../broker/standstill.js";
import { Connection } from "./connection.js";
import { openConnection } from "./open-connection.js";
import { LinkError, type Reply } from "./link.js";
import type { LinkOptions } from "./link-options.js";
import { hostAndPort } from "./redis-url.js";
import { replicationOf } from "./replication.js";
import { masterBehind } from "./sentinel.js";
import { infoOf } from "./server-check.js";

type Sentinels = Extract<LinkOptions, { readonly kind: "sentinel" }>;

const everyMs = 50;
/** How long one server has for one answer. */
const answerMs = 2_000;
/** What is left of the freeze when we stop waiting: nothing of ours happens after it. */
const marginMs = 1_000;

/**
 * Has the Sentinels make a replica the master. They tell the old one only seconds later, and what it takes meanwhile is
 * lost; so it is frozen first (CLIENT PAUSE: nobody can write, whoever it is), all replicas get to where it is, and it is
 * made to follow as soon as the new one is there and shows that it has everything. The freeze ends by itself, also when
 * this process dies.
 * @throws BROKER_UNAVAILABLE BROKER_INCOMPATIBLE
 */
export async function failOver(place: Sentinels, withinMs: number): Promise<FailedOver> {
  const { label } = place;
  const old = await new Master(place).find();
  let told = false;
  let follows = false;
  let frozen = false;
  try {
    requireReplicas(label, await old.replication());
    const frozenAtMs = performance.now();
    frozen = true;
    await old.ask("CLIENT", "PAUSE", withinMs, "WRITE");
    const untilMs = frozenAtMs + withinMs - marginMs;

    const { offset, replicationId } = await old.replication();
    await waitFor(untilMs, trouble(label, "the replicas did not get to where the master is"), async () => {
      const { replicas } = await old.replication();
      return replicas.length > 0 && replicas.every((replica) => replica.online && replica.offset >= offset);
    });

    await waitFor(untilMs, trouble(label, "the Sentinels find no replica fit to be the master"), async () => {
      told = await tellOne(place);
      return told;
    });
    const late = trouble(label, "the Sentinels have not made another master yet, and may still", "unknown");
    const next = await waitFor(untilMs, late, () => new Master(place).other(old.address));
    try {
      const found = await next.replication();
      if (found.formerId !== replicationId || found.formerOffset <= offset) {
        throw trouble(
          label,
          `${next.address} became the master, and lacks what ${old.address} had: leave that one be`,
          "unknown",
        );
      }
      await old.ask("REPLICAOF", ...hostPort(next.connection));
      follows = true;
      // As a Sentinel would: else it comes back from a restart as a master. One without a file to write it to is told again.
      await old.ask("CONFIG", "REWRITE").catch(() => undefined);
      return { from: old.address, to: next.address, frozenMs: Math.round(performance.now() - frozenAtMs), offset };
    } finally {
      next.connection.end();
    }
  } finally {
    // A master that may yet be replaced stays frozen, as long as the freeze lasts.
    if (frozen && (follows || !told)) await old.ask("CLIENT", "UNPAUSE").catch(() => undefined);
    old.connection.end();
  }
}

interface Place {
  readonly offset: number;
  readonly replicationId: string;
  /** Of the master that it followed, and one more than what it had of it. */
  readonly formerId: string;
  readonly formerOffset: number;
  readonly replicas: ReturnType<typeof replicationOf>["replicas"];
}

/** A connection to a master of our own: the link's ends when the Sentinels name another. */
class Master {
  readonly #place: Sentinels;
  #connection: Connection | undefined;

  constructor(place: Sentinels) {
    this.#place = place;
  }

  get connection(): Connection {
    return this.#connection!;
  }

  get address(): string {
    return hostAndPort(this.connection.address);
  }

  /** The one there is. */
  async find(): Promise<this> {
    const opened = await masterBehind(this.#place, this.#place.label)(new DisciplinedClock(), this.#place.timeoutMs);
    if (!(opened instanceof Connection)) throw opened;
    this.#connection = opened;
    return this;
  }

  /** Undefined while it is still the same one, or none. */
  async other(address: string): Promise<this | undefined> {
    const opened = await masterBehind(this.#place, this.#place.label)(new DisciplinedClock(), answerMs);
    if (!(opened instanceof Connection)) return undefined;
    this.#connection = opened;
    if (this.address !== address) return this;
    opened.end();
    return undefined;
  }

  async ask(name: string, ...args: readonly (string | number)[]): Promise<Reply> {
    const [reply] = await this.connection.send([{ name, args }], answerMs);
    if (!(reply instanceof LinkError)) return reply!;
    if (reply.code !== "NOPERM") throw reply.toError(this.#place.label);
    const problem = `${name} ${String(args[0])} is not allowed for this user: a failover needs +client|pause, +client|unpause, +replicaof, +info and +role`;
    throw new HoldfastError("BROKER_INCOMPATIBLE", { broker: this.#place.label, problem });
  }

  async replication(): Promise<Place> {
    const info = infoOf(await this.ask("INFO", "replication"), { label: this.#place.label });
    const { offset, replicas } = replicationOf(this.address, info);
    return {
      offset,
      replicas,
      replicationId: info["master_replid"] ?? "",
      formerId: info["master_replid2"] ?? "",
      formerOffset: Number(info["second_repl_offset"] ?? -1),
    };
  }
}

const hostPort = ({ address }: Connection): [string, number] => [address.host, address.port];

function requireReplicas(broker: string, { replicas }: Place): void {
  if (replicas.some(({ online }) => online)) return;
  throw new HoldfastError("BROKER_INCOMPATIBLE", {
    broker,
    problem: "no replica follows the master: none can replace it",
  });
}

/** True when a Sentinel has begun, or another has; false when it finds no replica fit now. No more than one is told. */
async function tellOne({ sentinels, master, label }: Sentinels): Promise<boolean> {
  let problem = "no Sentinel answers";
  for (const sentinel of sentinels) {
    const opened = await openConnection(sentinel, new DisciplinedClock(), answerMs);
    if (!(opened instanceof Connection)) continue;
    const [reply] = await opened.send([{ name: "SENTINEL", args: ["FAILOVER", master] }], answerMs);
    opened.end();
    // Without an answer it may have begun: no other is told.
    if (!(reply instanceof LinkError) || reply.outcome === "unknown" || reply.code === "INPROG") return true;
    if (reply.code === "NOGOODSLAVE") return false;
    ({ problem } = reply);
  }
  throw trouble(label, problem);
}

const trouble = (broker: string, problem: string, outcome: "refused" | "unknown" = "refused") =>
  new HoldfastError("BROKER_UNAVAILABLE", { broker, problem, outcome, taskIds: [] });

/** Looks again and again until there is an answer; none in time is `late`. */
async function waitFor<T>(untilMs: number, late: Error, look: () => Promise<T | false | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() + everyMs >= untilMs) throw late;
    await pause(everyMs);
  }
}
