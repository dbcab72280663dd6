import { type TransferListItem, Worker } from "node:worker_threads";
import type { HoldfastError } from "../core/errors.js";
import { threadFile, type ThreadName } from "../core/thread-file.js";
import { receivedError, type SentError } from "./sent-error.js";

/** The answer to the call of that number; a thread may say other things, too. */
export type Answer<Value> =
  | { readonly from: "store"; readonly number: number; readonly value: Value }
  | { readonly from: "store"; readonly number: number; readonly error: SentError };

export interface ThreadLinkOptions<Order, Notice> {
  readonly name: ThreadName;
  /** What a thread is told when it starts, be it the first one or its successor. */
  readonly data: () => object;
  readonly started: (say: (order: Order) => void) => void;
  /** What the thread says without being asked. */
  readonly heard: (notice: Notice) => void;
  /** It ended without being told to. The answer is what those who wait for theirs are to be told. */
  readonly died: (cause: unknown) => HoldfastError;
}

/** The process's own are not passed on; that Node 22 calls its SQLite experimental is known, and for nobody to act on. */
const execArgv = ["--disable-warning=ExperimentalWarning"];

interface Waiting<Value> {
  readonly resolve: (value: Value) => void;
  readonly reject: (error: HoldfastError) => void;
}

/**
 * Calls to a thread that has the database. It starts with the first call, and anew with the first call after its death.
 * It keeps the process alive while a call is under way, and not otherwise.
 */
export class ThreadLink<Order, Value, Notice extends { readonly from: string }> {
  readonly #options: ThreadLinkOptions<Order, Notice>;
  readonly #waiting = new Map<number, Waiting<Value>>();
  #thread: Worker | undefined;
  #numbers = 0;

  constructor(options: ThreadLinkOptions<Order, Notice>) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#thread !== undefined;
  }

  /** @throws what the thread answered, or what `died` says */
  call(order: (number: number) => Order, transfer: readonly TransferListItem[] = []): Promise<Value> {
    const thread = (this.#thread ??= this.#start());
    const number = (this.#numbers += 1);
    say(thread, order(number), transfer);
    if (this.#waiting.size === 0) thread.ref();
    return new Promise<Value>((resolve, reject) => this.#waiting.set(number, { resolve, reject }));
  }

  /** Nothing is waited for, and nobody told where no thread runs. */
  say(order: Order): void {
    if (this.#thread !== undefined) say(this.#thread, order);
  }

  /** The last order, which ends the thread when it has answered what it was asked. */
  async end(order: Order): Promise<void> {
    const thread = this.#thread;
    if (thread === undefined) return;
    this.#thread = undefined;
    thread.ref();
    const exited = new Promise((resolve) => thread.once("exit", resolve));
    say(thread, order);
    await exited;
  }

  #start(): Worker {
    const { name, data, started } = this.#options;
    const thread = new Worker(threadFile(name), { workerData: data(), execArgv });
    thread.unref();
    thread.on("message", (message: Answer<Value> | Notice) => this.#heard(message, thread));
    thread.on("error", (error) => this.#died(thread, error));
    thread.on("exit", (code) => this.#died(thread, new Error(`the thread ended with code ${code}`)));
    started((order) => say(thread, order));
    return thread;
  }

  #heard(message: Answer<Value> | Notice, thread: Worker): void {
    if (!isAnswer(message)) return this.#options.heard(message);
    const waiting = this.#waiting.get(message.number);
    this.#waiting.delete(message.number);
    if (this.#waiting.size === 0) thread.unref();
    if ("error" in message) waiting?.reject(receivedError(message.error));
    else waiting?.resolve(message.value);
  }

  #died(thread: Worker, cause: unknown): void {
    if (this.#thread !== thread) return;
    this.#thread = undefined;
    const error = this.#options.died(cause);
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
  }
}

function say(thread: Worker, order: unknown, transfer: readonly TransferListItem[] = []): void {
  thread.postMessage(order, transfer);
}

function isAnswer<Value>(message: Answer<Value> | { readonly from: string }): message is Answer<Value> {
  return message.from === "store";
}
