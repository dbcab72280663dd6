import type { OpenHistory } from "./scenario.js";
import type { Invariant } from "./verdict.js";

type Of<E> = Extract<OpenHistory["events"][number], { e: E }>;

/** A bug that somebody might build, as it would show in a history. */
export interface Planted {
  readonly bug: string;
  readonly breaks: Invariant;
  readonly plant: (book: Book) => void;
}

/** Finds its way in a history that is to be spoiled. */
export class Book {
  readonly history: OpenHistory;
  constructor(history: OpenHistory) {
    this.history = history;
  }
  get default() {
    return this.history.final.queues[0]!;
  }
  all<E extends OpenHistory["events"][number]["e"]>(e: E, which: (event: Of<E>) => boolean = () => true): Of<E>[] {
    return this.history.events.filter((event) => event.e === e && which(event as Of<E>)) as unknown as Of<E>[];
  }
  of<E extends "invoke" | "accepted" | "start" | "finish" | "unknown" | "rejected">(e: E, k: string, nth = 0): Of<E> {
    const found = this.all(e, (event) => (event as { k: string }).k.startsWith(k))[nth];
    if (found === undefined) throw new Error(`there is no ${e} of ${k}`);
    return found;
  }
  settled(k: string): Of<"settled"> {
    return this.all("settled", ({ id }) => id === `id-${this.of("invoke", k).k}`)[0]!;
  }
  drop(...events: object[]): void {
    this.history.events = this.history.events.filter((event) => !events.includes(event));
  }
  add(...events: OpenHistory["events"]): void {
    this.history.events.push(...events);
  }
  /** All that shows that the task was handled. */
  forget(k: string): void {
    const id = `id-${this.of("invoke", k).k}`;
    this.drop(...this.all("start", (one) => one.id === id), ...this.all("finish", (one) => `id-${one.k}` === id));
    this.drop(...this.all("settled", (one) => one.id === id));
  }
  /** Another run of a task, some time after its first one began. */
  again(k: string, afterMs: number, { by, attempt }: { by?: string; attempt?: number } = {}): void {
    const start = this.of("start", k);
    const at = start.at + afterMs;
    const run = `again#${start.run}`;
    const more = { by: by ?? start.by, attempt: attempt ?? start.attempt };
    this.add({ ...start, at, run, ...more }, { ...this.of("finish", k), at: at + 1, run, ...more } as Of<"finish">);
  }
}

export const planted: readonly Planted[] = [
  // Producing
  { bug: "an accepted task is dropped", breaks: "lost", plant: (book) => book.forget("plain") },
  {
    bug: "a spooled task is released before it was delivered",
    breaks: "lost",
    plant: (book) => {
      book.of("accepted", "plain").how = "spooled";
      book.forget("plain");
    },
  },
  { bug: "a scheduled task falls out of its set", breaks: "lost", plant: (book) => book.forget("later") },
  {
    bug: "the id of an accepted task is lost while its worker dies",
    breaks: "lost",
    plant: (book) => {
      const [, second] = book.all("start", ({ k }) => k === "killed");
      book.drop(
        second!,
        ...book.all("finish", ({ k }) => k === "killed"),
        ...book.all("settled", ({ id }) => id === "id-killed"),
      );
    },
  },
  {
    bug: "a dead letter is deleted",
    breaks: "lost",
    plant: ({ default: queue, history }) => {
      history.events = history.events.filter(({ e }) => e !== "incarnation");
      queue.tasks = queue.tasks.filter(({ state }) => state !== "archived");
      queue.places["archived"] = [];
    },
  },
  {
    bug: "a call that was refused is carried out later",
    breaks: "unexpected",
    plant: (book) => {
      const { k } = book.of("rejected", "uncertain");
      const start = book.of("start", "plain");
      book.add({ ...start, k, id: `id-${k}`, run: "ghost", at: start.at + 2_000 });
    },
  },
  {
    bug: "a task appears out of nothing",
    breaks: "unexpected",
    plant: (book) => book.add({ ...book.of("start", "plain"), k: "nobody", id: "id-nobody", run: "ghost" }),
  },
  {
    bug: "a stored task was never sent",
    breaks: "unexpected",
    plant: ({ default: queue }) => {
      queue.tasks.push({ ...queue.tasks[0]!, k: "nobody", id: "id-nobody" });
      queue.places[queue.tasks[0]!.state]!.push("id-nobody");
    },
  },
  {
    bug: "a call is sent again under a new id",
    breaks: "duplicate",
    plant: (book) => {
      const start = book.of("start", "plain");
      book.add({ ...start, id: "id-second", run: "second", at: start.at + 100 });
    },
  },
  {
    bug: "a promise never settles",
    breaks: "unsettled-call",
    plant: (book) => book.drop(book.of("unknown", "uncertain")),
  },
  {
    bug: "a promise settles long after its deadline",
    breaks: "unsettled-call",
    plant: (book) => {
      book.of("unknown", "uncertain").at += 30_000;
    },
  },
  // Locks
  {
    bug: "a second task gets a lock that is held",
    breaks: "unique",
    plant: (book) => {
      const again = book.all("accepted", ({ how }) => how === "duplicate")[0]!;
      Object.assign(again, { how: "enqueued", id: `id-${again.k}` });
    },
  },
  {
    bug: "a call is turned away by its own lost first try",
    breaks: "unique",
    plant: (book) => {
      const { k } = book.of("invoke", "plain");
      Object.assign(book.of("invoke", "plain"), { lock: "own", lockMs: 60_000 });
      book.of("accepted", "plain").how = "duplicate";
      book.forget(k);
    },
  },
  {
    bug: "a lock outlives its task",
    breaks: "unique",
    plant: ({ default: queue }) => {
      Object.assign(queue.locks, { "lock-leaked": "id-gone" });
    },
  },
  {
    bug: "a task called a duplicate runs all the same",
    breaks: "unique",
    plant: (book) => {
      const { k, at } = book.all("accepted", ({ how }) => how === "duplicate")[0]!;
      book.add({ ...book.of("start", "plain"), k, id: `id-${k}`, run: "both", at: at + 10 });
    },
  },
  // Running
  { bug: "an acknowledgement is dropped", breaks: "rerun", plant: (book) => book.again("plain", 30_000, { by: "w1" }) },
  {
    bug: "a settled task is run again by another worker, before long",
    breaks: "rerun",
    plant: (book) => book.again("kept", 60, { by: "w9" }),
  },
  { bug: "two workers lease one task", breaks: "overlap", plant: (book) => book.again("plain", 1, { by: "w9" }) },
  {
    bug: "a reclaim does not look at the lease again",
    breaks: "overlap",
    plant: (book) => {
      book.drop(...book.all("leaseLost"), ...book.all("process", ({ what }) => what === "frozen" || what === "thawed"));
      book.drop(...book.all("settled", ({ receipt }) => receipt === "leaseLost"));
    },
  },
  {
    bug: "a task runs twice and nobody knows why",
    breaks: "duplicate",
    plant: (book) => {
      book.drop(book.settled("plain"));
      book.again("plain", 500);
    },
  },
  {
    bug: "leases run out in a healthy fleet",
    breaks: "duplicate",
    plant: (book) => {
      book.settled("plain").receipt = "leaseLost";
      book.again("plain", 500, { by: "w9" });
    },
  },
  {
    bug: "a stale token's outcome is taken",
    breaks: "stale-write",
    plant: (book) => {
      book.all("settled", ({ receipt }) => receipt === "leaseLost")[0]!.receipt = "settled";
    },
  },
  {
    bug: "a crash burns a retry",
    breaks: "retries",
    plant: (book) => {
      book.all("start", ({ k, by }) => k === "killed" && by === "w3")[0]!.attempt = 2;
    },
  },
  {
    bug: "a failure counts twice",
    breaks: "retries",
    plant: (book) => {
      book.all("start", ({ k, attempt }) => k.startsWith("flaky") && attempt === 2)[0]!.attempt = 3;
    },
  },
  {
    bug: "a failure is not counted",
    breaks: "rerun",
    plant: (book) => {
      book.all("start", ({ k, attempt }) => k.startsWith("flaky") && attempt === 2)[0]!.attempt = 1;
      const { k } = book.of("start", "flaky");
      book.all("settled", ({ id }) => id === `id-${k}`)[0]!.outcome = "archived";
    },
  },
  {
    bug: "retries have no end",
    breaks: "retries",
    plant: (book) => {
      for (const start of book.all("start", ({ k }) => k.startsWith("flaky"))) start.attempt += 5;
    },
  },
  {
    bug: "a task gives up while it has retries left",
    breaks: "retries",
    plant: ({ default: queue }) => {
      queue.tasks = queue.tasks.map((task) =>
        task.state === "archived" ? { ...task, reason: "retries_exhausted" } : task,
      );
    },
  },
  {
    bug: "the stored limit of retries changes",
    breaks: "retries",
    plant: ({ default: queue }) => {
      queue.tasks[0] = { ...queue.tasks[0]!, maxRetry: 25 };
    },
  },
  {
    bug: "a scheduled task starts early",
    breaks: "early",
    plant: (book) => {
      book.of("start", "later").at -= 2_000;
    },
  },
  {
    bug: "tasks of a queue overtake each other",
    breaks: "order",
    plant: (book) => {
      const [first, second] = [book.of("start", "ordered", 1), book.of("start", "ordered", 2)];
      [first.at, second.at] = [second.at, first.at];
    },
  },
  {
    bug: "a retried payload is not what was sent",
    breaks: "payload",
    plant: (book) => {
      book.all("start", ({ k, attempt }) => k.startsWith("flaky") && attempt === 2)[0]!.hash = "changed";
    },
  },
  {
    bug: "a stored payload is not what was sent",
    breaks: "payload",
    plant: ({ default: queue }) => {
      queue.tasks[0] = { ...queue.tasks[0]!, hash: "changed" };
    },
  },
  // What is left
  {
    bug: "an id is in two lists",
    breaks: "places",
    plant: ({ default: queue }) => {
      queue.places["pending"]!.push(queue.places["archived"]![0]!);
    },
  },
  {
    bug: "a hash is in no list",
    breaks: "places",
    plant: ({ default: queue }) => void queue.places["completed"]!.pop(),
  },
  {
    bug: "an id has no hash",
    breaks: "places",
    plant: ({ default: queue }) => queue.places["retry"]!.push("id-ghost"),
  },
  {
    bug: "a hash calls itself something else",
    breaks: "places",
    plant: ({ default: queue }) => {
      queue.tasks[0] = { ...queue.tasks[0]!, state: "completed", id: queue.places["archived"]![0]! };
    },
  },
  {
    bug: "an active task has no lease",
    breaks: "places",
    plant: ({ default: queue }) => {
      const [id] = queue.places["archived"]!.splice(0, 1);
      queue.places["active"]!.push(id!);
      queue.tasks = queue.tasks.map((task) => (task.id === id ? { ...task, state: "active" } : task));
    },
  },
  {
    bug: "a lease outlives its task",
    breaks: "places",
    plant: ({ default: queue }) => void queue.leases.push("id-gone"),
  },
  {
    bug: "who held a lease is never forgotten",
    breaks: "places",
    plant: ({ default: queue }) => void queue.holders.push("id-gone"),
  },
  {
    bug: "the counter of processed tasks drifts",
    breaks: "counters",
    plant: (book) => {
      book.drop(...book.all("incarnation"));
      book.default.processed -= 2;
    },
  },
  {
    bug: "failures are counted twice",
    breaks: "counters",
    plant: (book) => {
      book.drop(...book.all("incarnation"));
      book.default.failed *= 2;
    },
  },
  { bug: "a queue never drains", breaks: "endless", plant: ({ history }) => void (history.final.quiet = false) },
  { bug: "a handler is never ended", breaks: "endless", plant: (book) => book.drop(book.of("finish", "plain")) },
  {
    bug: "a task is given back for ever",
    breaks: "endless",
    plant: (book) => {
      for (let n = 1; n < 40; n += 1) book.again("plain", n * 100);
    },
  },
  {
    bug: "what waits for storage is kept in memory without bound",
    breaks: "memory",
    plant: (book) => book.add({ at: 50_000, by: "w1", e: "memory", rss: 4e8, kept: 4e8 }),
  },
  {
    bug: "a breaker closes as soon as it is degraded, again and again",
    breaks: "flaps",
    plant: (book) => {
      for (const at of [50_000, 52_000]) book.add({ at, by: "p1", e: "breaker", shard: "", state: "closed" });
    },
  },
];
