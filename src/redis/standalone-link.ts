import { setTimeout as sleep } from "node:timers/promises";
import { DisciplinedClock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import { tellBroker } from "../core/telemetry.js";
import { Connection, type Opener, type Outgoing, type Unconnected } from "./connection.js";
import { within } from "../core/expiry.js";
import {
  type Command,
  deadline,
  LinkError,
  type RedisLink,
  type RedisNode,
  type Reply,
  type RunOptions,
  type ScriptCall,
} from "./link.js";
import { isMovedOn } from "./server-error.js";
import { UnderWay } from "../core/under-way.js";

/** A call may be stale once and then find its script gone; more than that does not get better by trying. */
const maxRounds = 3;
const backoffMs = 25;
const maxBackoffMs = 250;

/** Before a call to a slot that is on its way to this server. */
const asking: Outgoing = { name: "ASKING", args: [] };

/** The link to one server, over one connection at a time; a lost one is replaced when the next call needs it. */
export class StandaloneLink implements RedisLink {
  readonly label: string;
  readonly clock: DisciplinedClock;
  readonly oneSlotPerCall = false;
  readonly #openConnection: Opener;
  readonly #timeoutMs: number;
  readonly #underWay: UnderWay;
  #connection: Connection | undefined;
  /** Shared by all calls that wait for it. */
  #opening: Promise<Connection | Unconnected> | undefined;
  /** Why the last attempt to connect failed, if it did. */
  #failure: Unconnected | undefined;
  #failures = 0;
  #up: boolean | undefined;
  #connected = () => {};

  /** Connects with the first call. */
  constructor(
    options: { readonly label: string; readonly timeoutMs: number },
    open: Opener,
    clock = new DisciplinedClock(),
  ) {
    this.label = options.label;
    this.#underWay = new UnderWay(options.label);
    this.#timeoutMs = options.timeoutMs;
    this.#openConnection = open;
    this.clock = clock;
  }

  async run(calls: readonly (ScriptCall | Command)[], options: RunOptions = {}): Promise<Reply[]> {
    return calls.length === 0 && !this.#underWay.closed
      ? []
      : this.#underWay.run(() => this.#run(calls, options, false));
  }

  /** `run` for calls to a slot that moves here: a Cluster's node takes none of those unless told that one knows. */
  async runAsking(calls: readonly (ScriptCall | Command)[], options: RunOptions = {}): Promise<Reply[]> {
    return this.#underWay.run(() => this.#run(calls, options, true));
  }

  async nodes(): Promise<readonly RedisNode[]> {
    return this.#underWay.run(async () => {
      const ready = await this.#ready(performance.now() + this.#timeoutMs, true);
      if (!(ready instanceof Connection)) throw this.#concerning([], ready);
      return [{ address: ready.address, run: (calls, options) => this.run(calls, options) }];
    });
  }

  async nodesOf(queues: readonly string[]): Promise<readonly RedisNode[]> {
    const [node] = await this.nodes();
    return queues.map(() => node!);
  }

  shardOf(): undefined {
    return undefined;
  }

  async ping(): Promise<void> {
    const [reply] = await this.run([{ name: "PING", args: [] }]);
    if (reply instanceof LinkError) throw reply.toError(this.label);
  }

  onConnected(listener: () => void): void {
    this.#connected = listener;
  }

  distrust(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    connection.distrust();
    this.#drop(connection, "it answered what was not asked");
  }

  async close(): Promise<void> {
    await this.#underWay.end();
    this.#connection?.end();
    // One that nobody waits for any more may still be on its way.
    const opening = await this.#opening;
    if (opening instanceof Connection) opening.end();
  }

  async #run(
    calls: readonly (ScriptCall | Command)[],
    { taskIds = [], timeoutMs = this.#timeoutMs, insist = true }: RunOptions,
    ask: boolean,
  ): Promise<Reply[]> {
    const untilMs = performance.now() + timeoutMs;
    const replies: Reply[] = [];
    let todo = [...calls.keys()];
    for (let round = 1; todo.length > 0 && round <= maxRounds; round++) {
      // Without a turn of the loop when connected, for who knows how long a turn takes.
      const present = performance.now() < untilMs ? this.#connection : undefined;
      const ready = present?.usable === true ? present : await this.#ready(untilMs, insist);
      if (!(ready instanceof Connection)) {
        if (round > 1) break;
        throw this.#concerning(taskIds, ready);
      }
      const leftMs = untilMs - performance.now();
      const outgoing = this.#outgoing(
        todo.map((i) => [calls[i]!, replies[i]]),
        leftMs,
      );
      const answers = ask
        ? (
            await ready.send(
              outgoing.flatMap((one) => [asking, one]),
              leftMs,
            )
          ).filter((_, n) => n % 2 === 1)
        : await ready.send(outgoing, leftMs);
      for (const [at, i] of todo.entries()) replies[i] = answers[at]!;
      this.#learn(ready, answers);
      todo = todo.filter((i) => isCurable(replies[i]));
    }
    const [first] = replies;
    if (
      first instanceof LinkError &&
      replies.every((reply) => reply instanceof LinkError && reply.outcome === "unknown")
    ) {
      throw first.toError(this.label, taskIds);
    }
    return replies;
  }

  /** Scripts by their digest; one that the server turned out not to have, with its text, which serves those behind it. */
  #outgoing(todo: readonly (readonly [ScriptCall | Command, Reply | undefined])[], leftMs: number): Outgoing[] {
    const deadlineMs = Math.floor(this.clock.nowMs() + leftMs);
    const sent = new Set<string>();
    return todo.map(([call, before]) => {
      if (!("script" in call)) return call;
      const { script, keys, args } = call;
      const withText = before instanceof LinkError && before.code === "NOSCRIPT" && !sent.has(script.sha1);
      if (withText) sent.add(script.sha1);
      return {
        name: withText ? "EVAL" : "EVALSHA",
        args: [
          withText ? script.text : script.sha1,
          keys.length,
          ...keys,
          ...args.map((argument) => (argument === deadline ? deadlineMs : argument)),
        ],
        call,
      };
    });
  }

  #learn(connection: Connection, answers: readonly Reply[]): void {
    const errors = answers.filter((reply) => reply instanceof LinkError);
    for (const { problem } of errors.filter(({ code }) => code === "STALE")) {
      const serverMs = Number(/^STALE (\d+)/.exec(problem)?.[1]);
      if (serverMs > 0) this.clock.observe(serverMs, 0);
    }
    if (errors.some(isMovedOn)) this.#drop(connection, errors.find(isMovedOn)!.problem);
    else if (!connection.usable) this.#drop(connection, errors.at(-1)?.problem ?? "the connection was lost");
  }

  /** The next call opens another one. */
  #drop(connection: Connection, problem: string): void {
    connection.end();
    if (connection !== this.#connection) return;
    this.#connection = undefined;
    this.#tell("down", problem);
  }

  /** A connection to send on, or why there is none before `untilMs`. */
  async #ready(untilMs: number, insist: boolean): Promise<Connection | Unconnected> {
    let failure: Unconnected | undefined;
    while (performance.now() < untilMs) {
      if (this.#connection?.usable === true) return this.#connection;
      if (this.#connection !== undefined) this.#drop(this.#connection, "the connection was lost");
      this.#opening ??= this.#open().finally(() => {
        this.#opening = undefined;
      });
      if (!insist && this.#failure !== undefined) return this.#failure;
      const opened = await within(this.#opening, untilMs - performance.now());
      // The server is there, and trying again at once would not change its mind.
      if (HoldfastError.is(opened, "BROKER_INCOMPATIBLE")) return opened;
      if (HoldfastError.is(opened, "BROKER_UNAVAILABLE") && opened.data.outcome === "refused") return opened;
      if (opened instanceof HoldfastError) failure = opened;
    }
    const data = { broker: this.label, problem: "no connection in time", outcome: "notSent", taskIds: [] } as const;
    return failure ?? new HoldfastError("BROKER_UNAVAILABLE", data);
  }

  /** Never throws, for several calls or none may be waiting. */
  async #open(): Promise<Connection | Unconnected> {
    if (this.#failures > 0) {
      const longestMs = Math.min(backoffMs * 2 ** (this.#failures - 1), maxBackoffMs);
      await sleep(longestMs * (0.5 + Math.random() / 2));
    }
    const opened = await this.#openConnection(this.clock, this.#timeoutMs);
    if (opened instanceof Connection) {
      this.#failures = 0;
      this.#failure = undefined;
      this.#connection = opened;
      this.#tell("up", "connected");
      this.#connected();
    } else {
      this.#failures++;
      this.#failure = opened;
      this.#tell("down", opened.data.problem);
    }
    return opened;
  }

  #concerning(taskIds: readonly string[], error: Unconnected): Unconnected {
    const options = error.cause === undefined ? {} : { cause: error.cause };
    const { data } = error;
    return "outcome" in data
      ? new HoldfastError("BROKER_UNAVAILABLE", { ...data, broker: this.label, taskIds }, options)
      : new HoldfastError("BROKER_INCOMPATIBLE", { ...data, broker: this.label }, options);
  }

  #tell(event: "up" | "down", problem: string): void {
    if (this.#up === (event === "up")) return;
    this.#up = event === "up";
    tellBroker({ event, broker: this.label, problem });
  }
}

const isCurable = (reply: Reply | undefined): boolean =>
  reply instanceof LinkError && (reply.code === "NOSCRIPT" || reply.code === "STALE");
