import { Redis, Command as WireCommand } from "ioredis";
import type { DisciplinedClock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import { expireAfter } from "../core/expiry.js";
import { type Argument, type Command, LinkError, type Reply, type ScriptCall } from "./link.js";
import type { KnownAddress } from "./redis-url.js";
import { ReplyGuard } from "./reply-guard.js";
import { isForbidden, serverError } from "./server-error.js";
import { isSystemError } from "./system-error.js";

/** A command as it goes out, with the script call it stands for. */
export interface Outgoing extends Command {
  readonly call?: ScriptCall;
}

/** Why there is no connection: for now, or for as long as the options are what they are. */
export type Unconnected = HoldfastError<"BROKER_UNAVAILABLE"> | HoldfastError<"BROKER_INCOMPATIBLE">;

/** Opens a connection to wherever the server is by now; never throws. */
export type Opener = (clock: DisciplinedClock, timeoutMs: number) => Promise<Connection | Unconnected>;

/** So much to write is worth a system call of its own. */
const worthACallBytes = 16_384;
/** How often the server's clock is read while there is something to do. */
const readTimeEveryMs = 10_000;

/**
 * One connection, from its handshake to its end: it is never mended, its owner opens another. That leaves the library
 * nothing to queue or to send again. This is the only file that knows it.
 */
export class Connection {
  readonly address: KnownAddress;
  readonly #redis: Redis;
  readonly #clock: DisciplinedClock;
  readonly #guard = new ReplyGuard();
  #timeReadMs = Number.NEGATIVE_INFINITY;
  #problem: unknown;
  /** Batches that wait for replies. */
  #open = 0;
  #retired = false;
  #corked = false;

  /**
   * Never throws: a connection, or BROKER_UNAVAILABLE, which is `notSent` when there is no way to the server and
   * `refused` when it lets nobody in at the moment, or BROKER_INCOMPATIBLE when user, password or database are wrong.
   */
  static async open(
    address: KnownAddress,
    clock: DisciplinedClock,
    timeoutMs: number,
  ): Promise<Connection | Unconnected> {
    const connection = new Connection(address, clock, timeoutMs);
    const broker = address.label;
    const stop = expireAfter(timeoutMs, () =>
      connection.#fail(new LinkProblem(`no connection within ${timeoutMs} ms`)),
    );
    try {
      await connection.#redis.connect();
    } catch (error) {
      return unreachable(broker, connection.#problem ?? error);
    } finally {
      stop();
    }
    const commands = handshake(address);
    const replies = await connection.send(commands, timeoutMs);
    const failed = replies.find((reply, i) => reply instanceof LinkError && !mayBeForbidden(commands[i]!, reply));
    if (!(failed instanceof LinkError)) return connection;
    connection.end();
    const mend = toMend(failed);
    if (mend !== undefined)
      return new HoldfastError("BROKER_INCOMPATIBLE", { broker, problem: `${failed.problem}: ${mend}` });
    return failed.outcome === "unknown"
      ? unreachable(broker, connection.#problem ?? new LinkProblem(failed.problem))
      : new HoldfastError("BROKER_UNAVAILABLE", { broker, problem: failed.problem, outcome: "refused", taskIds: [] });
  }

  private constructor(address: KnownAddress, clock: DisciplinedClock, timeoutMs: number) {
    this.address = address;
    this.#clock = clock;
    this.#redis = new Redis({
      ...(address.path === undefined ? { host: address.host, port: address.port } : { path: address.path }),
      ...(address.tls === undefined ? {} : { tls: { ...address.tls } }),
      protocol: 2,
      lazyConnect: true,
      connectTimeout: timeoutMs,
      noDelay: true,
      keepAlive: 5_000,
      disableClientInfo: true,
      // Left to itself the library sends commands again, or late, without a word.
      enableReadyCheck: false,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: null,
      reconnectOnError: null,
    });
    this.#redis.on("error", (error: Error) => this.#fail(error));
    this.#redis.once("connect", () => {
      this.#expectUnasked();
      this.#readGuarded();
    });
  }

  /** Whether calls can be sent: connected, and neither failed nor retired. */
  get usable(): boolean {
    return !this.#retired && this.#redis.status === "ready" && this.#redis.stream.writable;
  }

  /**
   * Write all commands at once and wait for their replies, at most `timeoutMs`. Never throws: a command without a reply
   * has a LinkError `unknown` in its place. To be called while `usable`.
   */
  send(commands: readonly Outgoing[], timeoutMs: number): Promise<Reply[]> {
    const { stream } = this.#redis;
    const receivedBefore = stream.bytesRead;
    const replies = Array.from<Reply | undefined>({ length: commands.length });
    let missing = commands.length;
    this.#open++;
    return new Promise((resolve) => {
      const finish = (problem: string) => {
        stop();
        this.#open--;
        if (this.#retired) this.end();
        resolve(replies.map((reply) => (reply === undefined ? new LinkError("unknown", "", problem) : reply)));
      };
      const stop = expireAfter(timeoutMs, () => {
        missing = Number.POSITIVE_INFINITY;
        const problem = `no reply within ${Math.ceil(timeoutMs)} ms`;
        // Not a byte in all this time: the way there is dead, and what we wrote may still lie in a buffer.
        if (stream.bytesRead === receivedBefore) this.#fail(new LinkProblem(problem));
        finish(problem);
      });
      if (!this.#corked) stream.cork();
      for (const [i, command] of commands.entries()) {
        const answer = (reply: Reply | undefined) => {
          replies[i] = reply;
          if (--missing === 0) finish(`the connection was lost before the reply: ${inWords(this.#problem)}`);
        };
        this.#write(command).then(answer, (error: Error) =>
          // Any other error is the connection's.
          answer(error.name === "ReplyError" ? serverError(error.message, command.call ?? command) : undefined),
        );
      }
      void this.#readTime();
      if (!this.#corked || stream.writableLength > worthACallBytes) this.#flush();
    });
  }

  /**
   * Hear what is published on the channels that this connection subscribes to: text, or the keys that a tracking
   * connection is told of (null: all keys).
   */
  onMessage(listener: (channel: string, message: Buffer | readonly Buffer[] | null) => void): void {
    this.#redis.on("messageBuffer", (channel: Buffer, message: Buffer | Buffer[] | null) =>
      listener(String(channel), message),
    );
  }

  /** Be told, once, that it is over, whoever ended it. */
  onEnd(listener: () => void): void {
    this.#redis.once("end", listener);
  }

  /** Take no more calls, and disconnect when those under way have their replies. */
  end(): void {
    this.#retired = true;
    if (this.#open === 0) this.#disconnect();
  }

  /** Over at once, whatever is under way: what it answers is not to be believed. */
  distrust(): void {
    this.#fail(new LinkProblem("it answered what was not asked"));
  }

  /**
   * The first batch of a turn of the loop goes out at once, and those behind it together, for system calls are dear;
   * but what is worth one does not wait, for the server could be at work.
   */
  #flush(): void {
    const { stream } = this.#redis;
    stream.uncork();
    stream.cork();
    if (this.#corked) return;
    this.#corked = true;
    process.nextTick(() => {
      this.#corked = false;
      stream.uncork();
    });
  }

  #write({ name, args }: Command): Promise<Reply> {
    const subscribes = name === "SUBSCRIBE";
    this.#guard.subscribes ||= subscribes;
    // In capitals, for the library changes what it calls "hset" and "hgetall"; and knows only "subscribe".
    const command = new WireCommand(subscribes ? "subscribe" : name.toUpperCase(), args.map(wireArgument));
    // The library would show the arguments, which hold payloads, on a diagnostics channel of its own.
    command.isTraced = true;
    this.#redis.sendCommand(command);
    return command.promise;
  }

  async #readTime(): Promise<void> {
    const sentMs = performance.now();
    if (sentMs < this.#timeReadMs + readTimeEveryMs) return;
    this.#timeReadMs = sentMs;
    try {
      const reply = (await this.#write({ name: "TIME", args: [] })) as Reply[];
      const [seconds, micros] = reply.map((part) => Number(String(part)));
      this.#clock.observe(seconds! * 1_000 + micros! / 1_000, performance.now() - sentMs);
    } catch {
      // The user may not ask for it: then this host's clock has to do. A lost connection is told by the calls.
    }
  }

  /**
   * When an answer comes that nobody asked for, the library takes it to pieces for its error, and of a null there are
   * none: what is thrown then would end the process. So there is always somebody to give it to.
   */
  #expectUnasked(): void {
    const queue = this.#redis.commandQueue;
    const shift = queue.shift.bind(queue);
    const shiftOrGuard = () => {
      const asked = shift();
      if (asked !== undefined) return asked;
      this.#fail(new LinkProblem("it answered what nobody had asked"));
      const command = new WireCommand("PING", []);
      command.promise.catch(() => undefined);
      return { command, stream: this.#redis.stream, select: 0 };
    };
    queue.shift = shiftOrGuard;
    // It empties the queue until there is nothing left.
    const redis = this.#redis as unknown as { flushQueue: (...how: unknown[]) => void };
    const flush = redis.flushQueue.bind(redis);
    redis.flushQueue = (...how) => {
      queue.shift = shift;
      flush(...how);
      queue.shift = shiftOrGuard;
    };
  }

  /** What the library cannot bear is kept from it. */
  #readGuarded(): void {
    const { stream } = this.#redis;
    const [read] = stream.listeners("data") as ((chunk: Buffer) => void)[];
    stream.prependListener("data", (chunk: Buffer) => {
      if (this.#retired && this.#problem !== undefined) return;
      if (this.#guard.accepts(chunk)) read!(chunk);
      else this.#fail(new LinkProblem("its answer is not in the Redis protocol"));
    });
    stream.removeListener("data", read!);
  }

  /** Over at once; what lies in a buffer is not to be sent later. */
  #fail(error: unknown): void {
    this.#problem ??= error;
    this.#retired = true;
    const stream = this.#stream;
    // Only a plain TCP socket can be reset; TLS and Unix sockets are closed.
    if (stream?.remoteAddress !== undefined && !("encrypted" in stream)) stream.resetAndDestroy();
    this.#disconnect();
  }

  #disconnect(): void {
    // Once closed, the library would wait for that again, and keep the process alive meanwhile.
    if (this.#stream?.closed !== true) this.#redis.disconnect();
    this.#stream?.destroy();
  }

  /** There is none until the library has begun to connect, whatever its types say. */
  get #stream(): Redis["stream"] | undefined {
    return this.#redis.stream;
  }
}

/** Who we are and which database. A name is for people, but asking for one tells whether we are let in. */
function handshake({ username, password, db }: KnownAddress): Command[] {
  return [
    ...(password === undefined
      ? []
      : [{ name: "AUTH", args: username === undefined ? [password] : [username, password] }]),
    ...(db === 0 ? [] : [{ name: "SELECT", args: [db] }]),
    { name: "CLIENT", args: ["SETNAME", "holdfast"] },
  ];
}

const mayBeForbidden = (command: Command, error: LinkError) => command.name === "CLIENT" && isForbidden(error);

/** Ends the problem of a connection that is refused for its user or password. */
export const checkAccess = "check user and password in the URL";

/** What to do about an answer that the same options will get again and again. */
function toMend({ code, problem }: LinkError): string | undefined {
  if (code === "WRONGPASS" || code === "NOAUTH" || problem.startsWith("ERR AUTH ")) {
    return checkAccess;
  }
  return /DB index is out of range|invalid DB index/i.test(problem) ? "check the database in the URL" : undefined;
}

function wireArgument(argument: Argument): string | Buffer {
  if (typeof argument === "string") return argument;
  if (typeof argument === "number") return String(argument);
  return Buffer.isBuffer(argument) ? argument : Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength);
}

function unreachable(broker: string, error: unknown): Unconnected {
  const data = { broker, problem: inWords(error), outcome: "notSent", taskIds: [] } as const;
  return new HoldfastError("BROKER_UNAVAILABLE", data, isSystemError(error) ? { cause: error } : {});
}

/** What we found wrong ourselves, in words to show. */
class LinkProblem extends Error {}

/** The library's own errors may quote what was sent or received, so they are put in words of ours. */
function inWords(error: unknown): string {
  if (error instanceof LinkProblem) return error.message;
  // An AggregateError, of a host name with several addresses, has no message.
  // oxlint-disable-next-line no-control-regex
  if (isSystemError(error)) return (error.message || error.code).replaceAll(/[\u0000-\u001f]+/g, " ").slice(0, 200);
  if (error instanceof Error && /RESP|report/.test(error.message)) return "its answer is not in the Redis protocol";
  return "the connection was closed by the other side";
}
