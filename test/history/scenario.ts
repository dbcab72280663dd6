import { seeded } from "../support/seeded.js";
import type { Event, Invoke, QueueState, StoredTask } from "./events.js";

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type Queue = Writable<QueueState> & {
  places: Record<string, string[]>;
  tasks: StoredTask[];
  leases: string[];
  holders: string[];
};
type CallOptions = Partial<Pick<Invoke, "queue" | "dueAt" | "lock" | "lockMs" | "ordered">>;
/** Events without their time and writer. */
type Body = Event extends infer One ? (One extends Event ? Omit<One, "at" | "by"> : never) : never;

/** A history that can be changed; the order of its events is that of their times. */
export interface OpenHistory {
  events: Writable<Event>[];
  final: { quiet: boolean; queues: Queue[]; spooled: string[] };
}

const maxRetry = 3;
const lockMs = 60_000;

/**
 * A history in which all went well although much went wrong: a worker killed, another frozen past its leases, an
 * acknowledgement lost, storage back without its last second, calls without a certain end.
 */
export function scenario(seed: number): OpenHistory {
  return new Scenario(seed).history;
}

class Scenario {
  readonly history: OpenHistory;
  readonly #random: () => number;
  #runs = 0;

  constructor(seed: number) {
    this.#random = seeded(seed);
    const queue = (name: string): Queue => ({
      name,
      places: { pending: [], active: [], scheduled: [], retry: [], archived: [], completed: [], broken: [] },
      leases: [],
      holders: [],
      tasks: [],
      locks: {},
      processed: 0,
      failed: 0,
    });
    this.history = { events: [], final: { quiet: true, queues: [queue("default"), queue("ordered")], spooled: [] } };
    for (const name of ["p1", "p2", "w1", "w2", "w3"])
      this.#say(0, "supervisor", { e: "process", name, what: "started" });
    for (let n = 0; n < 400; n += 1) this.#task(n, 1_000 + n * 25);
    this.#faults();
    for (const by of ["w1", "w3"])
      for (const [rss, kept] of [
        [9e7, 6e7],
        [1.8e8, 7e7],
      ] as const)
        this.#say(rss / 1e4, by, { e: "memory", rss, kept });
    for (const name of ["p1", "p2", "w1", "w3"]) this.#say(90_000, "supervisor", { e: "process", name, what: "ended" });
    this.history.events.sort((a, b) => a.at - b.at);
  }

  #task(n: number, at: number): void {
    const k = `plain-${n}`;
    if (n % 11 === 0) return this.#ordered(`ordered-${n}`, at);
    if (n % 13 === 0) return this.#flaky(`flaky-${n}`, at);
    if (n % 17 === 0) return this.#later(`later-${n}`, at);
    if (n % 19 === 0) return this.#skipped(`skipped-${n}`, at);
    if (n % 23 === 0) return this.#unique(`unique-${n}`, at);
    if (n % 29 === 0) return this.#uncertain(`uncertain-${n}`, at, n % 2 === 0);
    if (n % 31 === 0) return this.#kept(`kept-${n}`, at);
    this.#enqueue(k, at);
    this.#run(k, at + 10, this.#worker());
  }

  #ordered(k: string, at: number): void {
    this.#enqueue(k, at, { queue: "ordered", ordered: true });
    this.#run(k, at + 10, "w1", { queue: "ordered" });
  }

  #flaky(k: string, at: number): void {
    this.#enqueue(k, at);
    this.#run(k, at + 10, this.#worker(), { how: "failed", outcome: "retry" });
    this.#run(k, at + 1_200, this.#worker(), { attempt: 2 });
  }

  #later(k: string, at: number): void {
    this.#enqueue(k, at, { dueAt: at + 5_000 });
    this.#run(k, at + 5_010, this.#worker());
  }

  #skipped(k: string, at: number): void {
    this.#enqueue(k, at);
    this.#run(k, at + 10, this.#worker(), { how: "skipped", outcome: "archived" });
    this.#store(k, "archived", { reason: "skip_retry" });
  }

  #kept(k: string, at: number): void {
    this.#enqueue(k, at);
    this.#run(k, at + 10, this.#worker());
    this.#store(k, "completed");
  }

  #unique(k: string, at: number): void {
    const lock = { lock: `lock-${k}`, lockMs };
    this.#enqueue(k, at, lock);
    this.#invoke(`${k}-again`, at + 20, lock);
    this.#say(at + 22, "p1", { e: "accepted", k: `${k}-again`, id: `id-${k}`, how: "duplicate" });
    this.#run(k, at + 40, this.#worker());
    this.#enqueue(`${k}-after`, at + 100, lock);
    this.#run(`${k}-after`, at + 120, this.#worker());
  }

  #uncertain(k: string, at: number, there: boolean): void {
    this.#invoke(k, at);
    this.#say(at + 2_000, "p1", { e: "unknown", k });
    if (there) this.#run(k, at + 10, this.#worker());
    this.#invoke(`${k}-refused`, at + 1);
    this.#say(at + 2, "p1", { e: "rejected", k: `${k}-refused`, code: "BROKER_UNAVAILABLE" });
  }

  /** Far behind the plain ones, one after the other. */
  #faults(): void {
    this.#fault("worker-kill", 20_000, () => {
      this.#enqueue("killed", 20_100);
      this.#run("killed", 20_110, "w2", { cut: true });
      this.#say(20_150, "supervisor", { e: "process", name: "w2", what: "killed" });
      this.#run("killed", 26_000, "w3");
    });
    this.#fault("worker-freeze", 30_000, () => {
      this.#enqueue("frozen", 30_100);
      this.#run("frozen", 30_110, "w1", { lasts: 9_000, receipt: "leaseLost" });
      this.#say(30_120, "supervisor", { e: "process", name: "w1", what: "frozen" });
      this.#run("frozen", 36_000, "w3");
      this.#say(39_000, "supervisor", { e: "process", name: "w1", what: "thawed" });
      this.#say(39_050, "w1", { e: "leaseLost", id: "id-frozen" });
    });
    this.#fault("storage-away", 45_000, () => {
      this.#enqueue("ack-lost", 45_100);
      this.#run("ack-lost", 45_110, "w3", { cut: true, how: "done" });
      this.#run("ack-lost", 52_000, "w1");
      // Its outcome gets through, or not, after another has taken the task over: it is told which.
      this.#enqueue("unanswered", 45_200);
      this.#run("unanswered", 45_210, "w3", { lasts: 8_000, receipt: "presumed" });
      this.#run("unanswered", 53_000, "w1");
    });
    this.#fault("power-cut", 60_000, () => {
      this.#say(60_500, "supervisor", { e: "incarnation", why: "power cut" });
    });
  }

  #fault(fault: string, at: number, body: () => void): void {
    this.#say(at, "supervisor", { e: "fault", fault, what: "on" });
    body();
    this.#say(at + 8_000, "supervisor", { e: "fault", fault, what: "off" });
    this.#say(at + 12_000, "supervisor", { e: "fault", fault, what: "calm" });
  }

  #invoke(k: string, at: number, more: CallOptions = {}) {
    const invoke = { e: "invoke", k, queue: "default", hash: `hash-${k}`, maxRetry, withinMs: 5_000, ...more } as const;
    this.#say(at, "p1", invoke);
  }

  #enqueue(k: string, at: number, more: CallOptions = {}): void {
    this.#invoke(k, at, more);
    this.#say(at + 2, "p1", { e: "accepted", k, id: `id-${k}`, how: "enqueued" });
  }

  #run(
    k: string,
    at: number,
    by: string,
    options: {
      attempt?: number;
      how?: "done" | "failed" | "skipped";
      outcome?: "completed" | "retry" | "archived";
      receipt?: "settled" | "presumed" | "leaseLost";
      queue?: string;
      lasts?: number;
      /** Its end, or what was told of it, is not known. */
      cut?: boolean;
    } = {},
  ): void {
    const { attempt = 1, how = "done", outcome = "completed", receipt = "settled", lasts = 5 } = options;
    const id = `id-${k}`;
    const run = `${by}#${(this.#runs += 1)}`;
    this.#say(at, by, { e: "start", k, id, run, attempt, hash: `hash-${k}` });
    if (options.cut !== true || options.how !== undefined) this.#say(at + lasts, by, { e: "finish", k, run, how });
    if (options.cut === true) return;
    this.#say(at + lasts + 5, by, { e: "settled", id, outcome, receipt });
    const queue = this.history.final.queues.find(({ name }) => name === (options.queue ?? "default"))!;
    if (receipt === "settled") queue.processed += 1;
    if (receipt === "settled" && how !== "done") queue.failed += 1;
  }

  #store(k: string, state: string, more: { reason?: string } = {}): void {
    const [queue] = this.history.final.queues;
    queue!.places[state]!.push(`id-${k}`);
    queue!.tasks.push({ id: `id-${k}`, state, k, hash: `hash-${k}`, retried: 0, maxRetry, ...more });
  }

  #worker = () => (this.#random() < 0.5 ? "w1" : "w3");

  #say(at: number, by: string, body: Body): void {
    this.history.events.push({ at, by, ...body } as Event);
  }
}
