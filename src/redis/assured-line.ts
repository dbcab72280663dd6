import type { Assurance } from "../broker/broker.js";
import { DisciplinedClock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import { type Confirmed, isReplicas, type Witness, witnessFor } from "./assurance.js";
import { Connection, type Opener, type Outgoing, type Unconnected } from "./connection.js";
import { expireAfter } from "../core/expiry.js";
import { deadline, LinkError, type Reply, type ScriptCall } from "./link.js";
import { isMovedOn } from "./server-error.js";

/** Calls that are to be confirmed. */
interface Job {
  readonly calls: readonly ScriptCall[];
  /** Written behind them: a reply may tell of what came by another connection, and then these alone are to be confirmed. */
  readonly barriers: readonly string[];
  readonly replicas: number;
  readonly untilMs: number;
  readonly taskIds: readonly string[];
  replies: Reply[] | undefined;
  confirmed: Confirmed | undefined;
  readonly settle: (result: Reply[] | Error) => void;
}

/** New writes wait no longer than this behind others that are being confirmed. */
const sliceMs = 250;
const shortestSliceMs = 10;
/** How long a barrier is kept. */
const barrierMs = 60_000;

/**
 * A connection of its own to one server, for writes that are to be confirmed: WAIT and WAITAOF keep a connection from all
 * else, and vouch for what that connection wrote, so everything is sent on one, and scripts go as text: a script that the
 * server does not have would be sent again, behind its confirmation. What comes while one round is under way goes together
 * in the next.
 */
export class AssuredLine {
  readonly #label: string;
  readonly #of: Assurance["of"];
  readonly #open: Opener;
  readonly #timeoutMs: number;
  readonly #clock = new DisciplinedClock();
  readonly #jobs = new Set<Job>();
  #connection: Connection | undefined;
  #witness: Witness | undefined;
  /** Replicas, when it last said. */
  #there = 0;
  #running = false;

  constructor(label: string, of: Assurance["of"], open: Opener, timeoutMs: number) {
    this.#label = label;
    this.#of = of;
    this.#open = open;
    this.#timeoutMs = timeoutMs;
  }

  /** @throws BROKER_UNAVAILABLE BROKER_INCOMPATIBLE */
  run(
    calls: readonly ScriptCall[],
    barriers: readonly string[],
    replicas: number,
    { timeoutMs, taskIds }: { readonly timeoutMs: number; readonly taskIds: readonly string[] },
  ): Promise<Reply[]> {
    return new Promise((resolve, reject) => {
      const untilMs = performance.now() + timeoutMs;
      const settle = (result: Reply[] | Error) => {
        stop();
        this.#jobs.delete(job);
        if (result instanceof Error) reject(result);
        else resolve(result);
      };
      const job: Job = {
        calls,
        barriers,
        replicas,
        untilMs,
        taskIds,
        replies: undefined,
        confirmed: undefined,
        settle,
      };
      const stop = expireAfter(timeoutMs, () => settle(this.#late(job)));
      this.#jobs.add(job);
      if (!this.#running) void this.#run();
    });
  }

  end(): void {
    this.#connection?.end();
  }

  /** See RedisLink. */
  distrust(): void {
    this.#connection?.distrust();
  }

  async #run(): Promise<void> {
    this.#running = true;
    // What else is asked for in this turn goes in the same round.
    await Promise.resolve();
    while (this.#jobs.size > 0) {
      // oxlint-disable-next-line no-await-in-loop -- one round after the other is what it is for
      await this.#round().catch((error: unknown) => this.#fail(error as Error));
    }
    this.#running = false;
  }

  async #round(): Promise<void> {
    const { connection, witness } = await this.#ready();
    // Before they are written: nobody could ever confirm them.
    if (witness.uncounted !== undefined)
      for (const job of this.#jobs) if (job.replicas > 0) job.settle(witness.uncounted);
    const jobs = [...this.#jobs];
    if (jobs.length === 0) return;
    const fresh = jobs.filter(({ replies }) => replies === undefined);
    const writes = fresh.flatMap((job) => this.#writes(job));
    const barriers = [...new Set(fresh.flatMap((job) => job.barriers))].map((key): Outgoing => ({
      name: "SET",
      args: [key, "", "PX", barrierMs],
    }));
    const wanted = Math.max(this.#there, ...jobs.map(wantedBy));
    const leftMs = Math.min(...jobs.map(({ untilMs }) => untilMs)) - performance.now();
    // Half of what is left: who gives up is to hear how many had it.
    const waitMs = Math.floor(Math.max(shortestSliceMs, Math.min(leftMs / 2, sliceMs)));
    for (const job of fresh) job.replies = [];
    const outgoing = [...writes, ...barriers, ...witness.commands(wanted, waitMs)];
    const replies = await connection.send(outgoing, this.#timeoutMs + waitMs);
    let at = 0;
    for (const job of fresh) job.replies = replies.slice(at, (at += job.calls.length));
    try {
      this.#confirm(jobs, fresh, witness, replies.slice(at), barriers.length);
    } finally {
      if (!connection.usable || replies.some(isElsewhere)) this.#drop();
    }
  }

  /** @throws BROKER_UNAVAILABLE BROKER_INCOMPATIBLE where nothing is confirmed */
  #confirm(
    jobs: readonly Job[],
    fresh: readonly Job[],
    witness: Witness,
    replies: readonly Reply[],
    barriers: number,
  ): void {
    const unbarred = replies.slice(0, barriers).find((reply) => reply instanceof LinkError);
    for (const job of fresh) if (job.replies!.every((reply) => reply instanceof LinkError)) job.settle(job.replies!);
    const lost = unbarred ?? replies.slice(barriers).find(isUnknown);
    if (lost !== undefined) throw this.#unavailable([...this.#jobs], "unknown", (lost as LinkError).problem);
    const confirmed = witness.read(replies.slice(barriers));
    this.#there = confirmed.there;
    for (const job of jobs) {
      job.confirmed = confirmed;
      if (confirmed.here && confirmed.replicas >= wantedBy(job)) job.settle(job.replies!);
    }
  }

  #writes({ calls, untilMs }: Job): Outgoing[] {
    const deadlineMs = Math.floor(this.#clock.nowMs() + untilMs - performance.now());
    return calls.map((call) => ({
      name: "EVAL",
      args: [
        call.script.text,
        call.keys.length,
        ...call.keys,
        ...call.args.map((argument) => (argument === deadline ? deadlineMs : argument)),
      ],
      call,
    }));
  }

  /** @throws BROKER_UNAVAILABLE BROKER_INCOMPATIBLE */
  async #ready(): Promise<{ connection: Connection; witness: Witness }> {
    if (this.#connection?.usable !== true) {
      this.#drop();
      const opened: Connection | Unconnected = await this.#open(this.#clock, this.#timeoutMs);
      if (!(opened instanceof Connection)) throw opened;
      this.#connection = opened;
    }
    const connection = this.#connection!;
    this.#witness ??= await this.#witnessOn(connection);
    return { connection, witness: this.#witness };
  }

  /** A server that cannot vouch for anything now may be a replica by now: the next round looks for the master. */
  async #witnessOn(connection: Connection): Promise<Witness> {
    try {
      return await witnessFor(this.#of, this.#label, (commands) => connection.send(commands, this.#timeoutMs));
    } catch (error) {
      if (HoldfastError.is(error, "BROKER_UNAVAILABLE")) this.#drop();
      throw error;
    }
  }

  /** Another connection's witness vouches for nothing that this one wrote. */
  #drop(): void {
    const problem = "the connection that wrote it was lost before it was confirmed";
    for (const job of this.#jobs) {
      if (job.replies !== undefined) job.settle(this.#unavailable([job], "unknown", problem));
    }
    this.#connection?.end();
    this.#connection = undefined;
    this.#witness = undefined;
  }

  /** A round came to nothing: what was written before is not confirmed, and the rest is told why. */
  #fail(error: Error): void {
    for (const job of this.#jobs) {
      const isWritten = job.replies !== undefined;
      if (!HoldfastError.is(error, "BROKER_UNAVAILABLE")) job.settle(error);
      else job.settle(this.#unavailable([job], isWritten ? "unknown" : error.data.outcome, error.data.problem));
    }
  }

  #late(job: Job): HoldfastError<"BROKER_UNAVAILABLE"> {
    if (job.replies === undefined) return this.#unavailable([job], "notSent", "no connection in time");
    if (job.confirmed === undefined) return this.#unavailable([job], "unknown", "no reply in time");
    const acknowledged = { replicas: job.confirmed.replicas, wanted: wantedBy(job) };
    const problem = job.confirmed.here
      ? `${acknowledged.replicas} of ${acknowledged.wanted} replicas have confirmed in time`
      : "it was not fsynced in time";
    return this.#unavailable([job], "unknown", problem, acknowledged);
  }

  #unavailable(
    jobs: readonly Job[],
    outcome: "notSent" | "refused" | "unknown",
    problem: string,
    acknowledged?: { readonly replicas: number; readonly wanted: number },
  ): HoldfastError<"BROKER_UNAVAILABLE"> {
    const taskIds = jobs.flatMap((job) => job.taskIds);
    const data = { broker: this.#label, problem, outcome, taskIds };
    return new HoldfastError("BROKER_UNAVAILABLE", acknowledged === undefined ? data : { ...data, acknowledged });
  }
}

const isElsewhere = (reply: Reply) => reply instanceof LinkError && (isMovedOn(reply) || isReplicas(reply));
const isUnknown = (reply: Reply) => reply instanceof LinkError && reply.outcome === "unknown";
/** All replicas that the server has, and as many as were asked for though it has fewer. */
const wantedBy = ({ replicas, confirmed }: Job) => Math.max(replicas, confirmed?.there ?? 0);
