import fc from "fast-check";
import { expect } from "vitest";
import type { Broker, LeasedTask, LeaseRequest, Turn } from "../../src/broker/broker.js";
import type { NewTask } from "../../src/core/message.js";
import type { Outcome } from "../../src/core/outcome.js";
import { failure, newTask } from "../support/builders.js";
import type { Model, ModelTask } from "./model.js";

/** The engine, and what a client and two workers know of it. */
export class Real {
  readonly broker: Broker;
  readonly queues: readonly string[];
  /** Every lease ever given, also those that are over: stale ones are settled, too. */
  readonly hands: LeasedTask[] = [];
  /** The last turn of each worker, and when it was sent. */
  readonly lastTurns = new Map<
    string,
    { readonly turn: Turn; readonly atMs: number; readonly leased: readonly ModelTask[] }
  >();
  readonly ids = new Set<string>();
  /** When the client made its ids. */
  readonly madeMs: number;
  requests = 0;

  constructor(broker: Broker, queues: readonly string[], madeMs: number) {
    this.broker = broker;
    this.queues = queues;
    this.madeMs = madeMs;
  }

  /** The queues that one call names: on a Cluster one, for what several that are asked side by side give is not the model's. */
  asked(numbers: readonly number[]): string[] {
    const queues = numbers.map((n) => this.queues[n]!);
    return this.broker.label.startsWith("redis-cluster:") ? queues.slice(0, 1) : queues;
  }
}

/** Capital letters stand for ids that Holdfast makes, the others are a caller's own. */
function idOf(letter: string, madeMs: number): string {
  if (letter !== letter.toUpperCase()) return letter;
  const time = madeMs.toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${Buffer.from(letter).toString("hex").padStart(12, "0")}`;
}

type Command = fc.AsyncCommand<Model, Real>;

/** After every step: each task is in the one place where the model has it, the lines are the same, and nothing is lost. */
async function agree(model: Model, { broker, queues, ids }: Real): Promise<void> {
  const infos = await broker.queues(model.nowMs, queues);
  for (const queue of queues) {
    const info = infos.find(({ name }) => name === queue);
    const counts = Object.entries(info?.counts ?? {}).filter(([, count]) => count > 0);
    expect(Object.fromEntries(counts), "counts").toEqual(model.counts(queue));
    const { processed, failed } = info ?? { processed: 0, failed: 0 };
    expect({ processed, failed }, "totals").toEqual(model.totals.get(queue) ?? { processed: 0, failed: 0 });
    const { items } = await broker.list({ queue, state: "pending" }, { limit: 100 });
    expect(
      items.map(({ id }) => id),
      "the line",
    ).toEqual(model.line(queue));
  }
  const refs = queues.flatMap((queue) => [...ids].map((id) => ({ queue, id })));
  const found = await broker.find(refs);
  for (const [n, { queue, id }] of refs.entries()) {
    const task = model.tasks.get(`${queue} ${id}`);
    const info = found[n];
    expect(info && [info.state, info.crashes, info.message?.retried], `${queue} ${id}`).toEqual(
      task && [task.state, task.crashes, task.retried],
    );
    const isDue = task?.state === "scheduled" || task?.state === "retry" || task?.state === "completed";
    expect(info?.dueAtMs, `${queue} ${id} is due`).toBe(isDue ? task.untilS * 1_000 : undefined);
  }
}

interface Wanted {
  readonly queue: number;
  readonly id: string;
  readonly lock: number;
  readonly delayMs: number;
  readonly retentionMs: number;
  readonly atMostOnce: boolean;
  readonly repeat: boolean;
}

class Enqueue implements Command {
  readonly #wanted: readonly Wanted[];
  constructor(wanted: readonly Wanted[]) {
    this.#wanted = wanted;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    const tasks = this.#wanted.map((one) => this.#task(one, model, real));
    for (const { message } of tasks) real.ids.add(message.id);

    const receipts = await real.broker.enqueue(tasks, model.nowMs);

    expect(receipts).toEqual(tasks.map((task) => model.enqueue(task)));
    await agree(model, real);
  }

  #task(
    { queue, id: letter, lock, delayMs, retentionMs, atMostOnce, repeat }: Wanted,
    model: Model,
    real: Real,
  ): NewTask {
    const name = real.queues[queue]!;
    const id = idOf(letter, real.madeMs);
    const uniqueKey = lock === 0 ? "" : `asynq:{${name}}:unique:t:${lock}`;
    // Past the horizon an engine may still remember, or have forgotten: nobody asks it then.
    const unclear = model.finished.has(`${name} ${id}`) && !model.isFinishedLately({ queue: name, id });
    return newTask(
      { queue: name, id, uniqueKey, retentionMs },
      {
        processAtMs: delayMs === 0 ? 0 : model.nowMs + delayMs,
        uniqueForMs: lock === 0 ? 0 : 10 * 365 * 86_400_000,
        atMostOnce,
        repeat: repeat && !unclear,
      },
    );
  }

  toString(): string {
    return `enqueue(${fc.stringify(this.#wanted)})`;
  }
}

interface WantedTurn {
  readonly worker: number;
  readonly settle: readonly {
    readonly hand: number;
    readonly kind: Outcome["kind"];
    readonly counts: boolean;
    readonly delayMs: number;
  }[];
  readonly lease:
    | {
        readonly queues: readonly number[];
        readonly limit: number;
        readonly leaseMs: number;
        readonly suspects: number;
      }
    | undefined;
}

class Exchange implements Command {
  readonly #wanted: WantedTurn;
  constructor(wanted: WantedTurn) {
    this.#wanted = wanted;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    const { worker, settle, lease } = this.#wanted;
    const workerId = `${real.queues[0]}-worker-${worker}`;
    real.requests += 1;
    const request: LeaseRequest | undefined = lease && {
      ...lease,
      workerId,
      requestId: `${real.queues[0]}-request-${real.requests}`,
      queues: real.asked(lease.queues),
    };
    const settlements =
      real.hands.length === 0
        ? []
        : settle.map(({ hand, ...how }) => ({
            // Of the last twenty, for those are likelier to be held.
            task: real.hands.slice(-20)[hand % Math.min(real.hands.length, 20)]!,
            outcome: outcomeOf(how, model.nowMs),
          }));
    const turn: Turn = { settle: settlements, lease: request };

    const reply = await real.broker.exchange(turn, model.nowMs);

    expect(reply.settled).toEqual(model.settle(settlements));
    const leased = request === undefined ? [] : model.lease(request);
    expect(reply.leased.map(shown)).toEqual(leased.map(shownModel));
    for (const { lease: got } of reply.leased) expect(got.untilMs).toBe(model.holds(got)!.untilS * 1_000);
    real.hands.push(...reply.leased);
    if (request !== undefined) real.lastTurns.set(workerId, { turn, atMs: model.nowMs, leased });
    await agree(model, real);
  }

  toString(): string {
    return `exchange(${fc.stringify(this.#wanted)})`;
  }
}

function outcomeOf(
  { kind, counts, delayMs }: { kind: Outcome["kind"]; counts: boolean; delayMs: number },
  nowMs: number,
): Outcome {
  switch (kind) {
    case "completed":
      return { kind, result: Buffer.from("42") };
    case "retry":
      return { kind, counts, atMs: nowMs + delayMs, failure: failure() };
    case "archived":
      return { kind, failure: failure({ reason: "retries_exhausted" }) };
    case "revoked":
    case "released":
      return { kind };
  }
  return kind satisfies never;
}

const shown = ({ lease, crashes, returns, message }: LeasedTask) => [
  lease.queue,
  lease.id,
  lease.token,
  crashes,
  returns,
  message.retried,
];
const shownModel = ({ queue, id, token, crashes, returns, retried }: ModelTask) => [
  queue,
  id,
  token,
  crashes,
  returns,
  retried,
];

/** A worker that did not get its reply sends its turn again. */
class SendAgain implements Command {
  readonly #worker: number;
  constructor(worker: number) {
    this.#worker = worker;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    const last = real.lastTurns.get(`${real.queues[0]}-worker-${this.#worker}`);
    // An empty answer is not remembered, and none for longer than a minute: such a turn would lease anew.
    if (last === undefined || last.leased.length === 0 || model.nowMs - last.atMs >= 60_000) return;

    const reply = await real.broker.exchange(last.turn, model.nowMs);

    expect(reply.settled).toEqual(model.settle(last.turn.settle));
    const token = last.turn.lease!.requestId;
    const held = last.leased.filter(({ queue, id }) => model.holds({ queue, id, token }) !== undefined);
    expect(reply.leased.map(shown)).toEqual(held.map(shownModel));
    for (const [n, { lease }] of reply.leased.entries()) {
      // An engine may begin the lease anew, or leave it as it was.
      expect(lease.untilMs / 1_000).toBeGreaterThanOrEqual(held[n]!.untilS);
      held[n]!.untilS = lease.untilMs / 1_000;
    }
    await agree(model, real);
  }

  toString(): string {
    return `sendAgain(worker ${this.#worker})`;
  }
}

class Maintain implements Command {
  readonly #verb: "reclaim" | "promote" | "prune";
  readonly #queues: readonly number[];
  readonly #limit: number;
  constructor(verb: "reclaim" | "promote" | "prune", queues: readonly number[], limit: number) {
    this.#verb = verb;
    this.#queues = queues;
    this.#limit = limit;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    const queues = real.asked(this.#queues);

    const answer = await real.broker[this.#verb](queues, this.#limit, model.nowMs);

    expect(answer).toEqual(model[this.#verb](queues, this.#limit));
    await agree(model, real);
  }

  toString(): string {
    return `${this.#verb}(queues ${this.#queues.join()}, limit ${this.#limit})`;
  }
}

class Wait implements Command {
  readonly #ms: number;
  constructor(ms: number) {
    this.#ms = ms;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model): Promise<void> {
    model.nowMs += this.#ms;
  }

  toString(): string {
    return `wait(${this.#ms} ms)`;
  }
}

const ms = (...choices: number[]) => fc.constantFrom(...choices);
const someQueues = fc.constantFrom([0], [1], [0, 1], [1, 0]);

const wanted: fc.Arbitrary<Wanted> = fc.record({
  queue: fc.nat(1),
  id: fc.constantFrom(..."abcdeFGHIJ"),
  lock: fc.constantFrom(0, 0, 0, 1, 2),
  delayMs: ms(0, 0, 0, -5_000, 1, 999, 1_000, 5_500, 60_000, 600_000),
  retentionMs: ms(0, 0, 0, 1_000, 30_000),
  atMostOnce: fc.constantFrom(false, false, false, true),
  repeat: fc.constantFrom(false, false, true),
});

const wantedTurn: fc.Arbitrary<WantedTurn> = fc.record({
  worker: fc.nat(1),
  settle: fc.array(
    fc.record({
      hand: fc.nat(19),
      kind: fc.constantFrom("completed", "completed", "retry", "archived", "revoked", "released"),
      counts: fc.boolean(),
      delayMs: ms(0, 1_000, 1_001, 15_000, 60_000),
    }),
    { maxLength: 5 },
  ),
  lease: fc.option(
    fc.record({ queues: someQueues, limit: fc.nat(5), leaseMs: ms(1, 5_000, 7_300, 30_000), suspects: fc.nat(2) }),
    { nil: undefined, freq: 5 },
  ),
});

export const commands = fc.commands(
  [
    fc.array(wanted, { minLength: 1, maxLength: 5 }).map((tasks) => new Enqueue(tasks)),
    wantedTurn.map((turn) => new Exchange(turn)),
    wantedTurn.map((turn) => new Exchange(turn)),
    fc.nat(1).map((worker) => new SendAgain(worker)),
    fc
      .tuple(
        fc.constantFrom("reclaim" as const, "promote" as const, "prune" as const),
        someQueues,
        fc.integer({ min: 1, max: 4 }),
      )
      .map(([verb, queues, limit]) => new Maintain(verb, queues, limit)),
    ms(1, 400, 1_000, 5_000, 8_000, 30_000, 61_000, 3_600_000).map((time) => new Wait(time)),
  ],
  { maxCommands: 60, size: "max" },
);
