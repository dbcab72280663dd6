import type { Broker } from "../../src/broker/broker.js";
import type { MoveTarget } from "../../src/broker/roles.js";
import type { Page, TaskInfo } from "../../src/core/info.js";
import type { Calls } from "./calls.js";
import { raw } from "./snapshot.js";

export const states = ["pending", "active", "scheduled", "retry", "archived", "completed", "aggregating"] as const;
/** In none of these is a healthy task. */
const others = ["scheduled", "retry", "archived", "completed", "aggregating"] as const;
const targets: readonly MoveTarget[] = ["pending", "archived", "deleted"];
const receiptsOf = {
  move: ["moved", "notFound", "wrongState"],
  update: ["updated", "notFound", "wrongState", "duplicate", undefined],
  cancel: ["requested", "notActive", "notFound"],
  wish: ["retry", "archive", undefined],
};

export interface Estate {
  readonly queue: string;
  /** Ids of damaged tasks, as far as they are text. */
  readonly ids: readonly string[];
  /** What the keys of a state hold, in Latin-1. */
  entriesOf(state: string): Promise<readonly string[]>;
}

/** Everything that people do to queues and look at, at random; what it does to damaged tasks is told to the judge. */
export class Operator {
  readonly #broker: Broker;
  readonly #calls: Calls;
  readonly #random: () => number;
  readonly #queues: readonly string[];
  readonly #estate: Estate;
  #acts = 0;
  /** Ids in Latin-1 that may be gone, for they were deleted. */
  readonly deleted = new Set<string>();
  /** Payloads that tasks were given, by id. */
  readonly payloads = new Map<string, Buffer[]>();

  constructor(broker: Broker, calls: Calls, random: () => number, queues: readonly string[], estate: Estate) {
    this.#broker = broker;
    this.#calls = calls;
    this.#random = random;
    this.#queues = queues;
    this.#estate = estate;
  }

  async act(nowMs: number): Promise<void> {
    this.#acts += 1;
    const acts = [
      () => this.#moveState(nowMs),
      () => this.#moveState(nowMs),
      () => this.#deleteState(nowMs),
      () => this.#moveIds(nowMs),
      () => this.#moveIds(nowMs),
      () => this.#update(nowMs),
      () => this.#update(nowMs),
      () => this.#cancel(nowMs),
    ];
    await this.#pick(acts)();
    await this.#pick(acts)();
  }

  /** What there is to see; all of it is sane, and every list has an end from either side. */
  async look(nowMs: number): Promise<void> {
    const some = [this.#pick(this.#queues), "no queue"];
    for (const info of [
      ...((await this.#calls.typed(() => this.#broker.queues(nowMs))) ?? []),
      ...((await this.#calls.typed(() => this.#broker.queues(nowMs, some))) ?? []),
    ]) {
      const times = Object.values(info.earliestAtMs ?? {});
      const numbers = [...Object.values(info.counts), info.processed, info.failed, info.latencyMs, ...times];
      if (!numbers.every(Number.isFinite)) throw new Error(`queues: ${JSON.stringify(info)}`);
      mustBeTimes([...times, info.pause?.atMs]);
    }
    for (const queue of this.#queues)
      for (const state of states) for (const backwards of [false, true]) await this.#pages(queue, state, backwards);
    const estimates = (await this.#calls.typed(() => this.#broker.memory(some))) ?? [];
    const days = (await this.#calls.typed(() => this.#broker.history(this.#queues, 3, nowMs))) ?? [];
    const groups = (await this.#calls.typed(() => this.#broker.groups(this.#pick(this.#queues)))) ?? [];
    const counted = [...estimates, ...days.flat().flatMap(({ processed, failed }) => [processed, failed])];
    if (![...counted, ...groups.map(({ count }) => count)].every(Number.isFinite))
      throw new Error(`no numbers: ${JSON.stringify([estimates, days, groups])}`);
  }

  async #pages(queue: string, state: (typeof states)[number], backwards: boolean): Promise<void> {
    const seen = new Set<string>();
    // Somebody's idea of a cursor is as good as none.
    let cursor: string | undefined =
      this.#below(8) === 0 ? this.#pick(["", "x", "inf \u00ff", "9e99 ", "-1 -1"]) : undefined;
    for (let page = 0; ; page += 1) {
      if (page > 200) throw new Error(`the list of ${state} has no end`);
      const selection = { queue, state };
      const answer: Page<TaskInfo> | undefined = await this.#calls.typed(() =>
        this.#broker.list(selection, { limit: 7, cursor, backwards }),
      );
      for (const info of answer?.items ?? []) {
        mustBeSane(info);
        seen.add(info.id);
      }
      cursor = backwards ? answer?.previous : answer?.next;
      if (cursor === undefined) break;
    }
    const refs = [...seen].map((id) => ({ queue, id }));
    for (const info of (await this.#calls.typed(() => this.#broker.find(refs))) ?? [])
      if (info !== undefined) mustBeSane(info);
  }

  /** All of a state is run or archived, and the queue paused for a moment. */
  async #moveState(nowMs: number): Promise<void> {
    const queue = this.#pick(this.#queues);
    const state = this.#pick(others);
    const to = state === "completed" || state === "archived" ? "pending" : this.#pick(["pending", "archived"] as const);
    await this.#calls.typed(() => this.#broker.setPaused([queue], true, this.#by, nowMs));
    await this.#moveAll(queue, state, to, nowMs);
    await this.#calls.typed(() => this.#broker.setPaused([queue], false, this.#by, nowMs));
  }

  async #deleteState(nowMs: number): Promise<void> {
    const { queue } = this.#estate;
    const state = this.#pick(others);
    for (const id of await this.#estate.entriesOf(state)) this.deleted.add(id);
    await this.#moveAll(queue, state, "deleted", nowMs);
  }

  async #moveAll(queue: string, state: (typeof others)[number], to: MoveTarget, nowMs: number): Promise<void> {
    let cursor: string | undefined;
    await this.#calls.often(`move from ${state} to ${to}`, async () => {
      const receipt = await this.#broker.move({ queue, state }, to, this.#by, { limit: 20, cursor }, nowMs);
      if (!("moved" in receipt)) throw new Error("receipts for ids that nobody named");
      cursor = receipt.cursor;
      return { count: receipt.moved, more: cursor !== undefined };
    });
  }

  async #moveIds(nowMs: number): Promise<void> {
    const { queue } = this.#estate;
    const ids = this.#someIds();
    const to = this.#pick(targets);
    const attempts = this.#pick([1, 3]);
    const receipt = await this.#calls.typed(() =>
      this.#broker.move({ queue, ids }, to, this.#by, { limit: 100, attempts }, nowMs),
    );
    if (receipt === undefined) return;
    if (!("receipts" in receipt)) throw new Error("no receipts for ids");
    mustBeReceipts(receipt.receipts, receiptsOf.move, ids.length);
    if (to !== "deleted") return;
    for (const [n, one] of receipt.receipts.entries()) if (one === "moved") this.deleted.add(raw(ids[n]!));
  }

  async #update(nowMs: number): Promise<void> {
    const { queue } = this.#estate;
    for (const id of this.#someIds()) {
      const payload = Buffer.from(this.#pick([`payload of act ${this.#acts}`, "", "\u0000\u00ff"]));
      const receipt = await this.#calls.typed(() =>
        this.#broker.updatePayload({ queue, id }, payload, this.#by, nowMs),
      );
      mustBeReceipts([receipt], receiptsOf.update, 1);
      if (receipt === "updated") this.payloads.set(raw(id), [...(this.payloads.get(raw(id)) ?? []), payload]);
    }
  }

  async #cancel(nowMs: number): Promise<void> {
    const { queue } = this.#estate;
    const refs = this.#someIds().map((id) => ({ queue, id }));
    const how = this.#pick(["retry", "archive"] as const);
    const receipts = await this.#calls.typed(() => this.#broker.cancel(refs, how, this.#by, nowMs));
    if (receipts !== undefined) mustBeReceipts(receipts, receiptsOf.cancel, refs.length);
    const wishes = await this.#calls.typed(() => this.#broker.cancellations(refs));
    if (wishes !== undefined) mustBeReceipts(wishes, receiptsOf.wish, refs.length);
  }

  /** One of them nobody has heard of, and one of them twice. */
  #someIds(): string[] {
    const { ids } = this.#estate;
    const some = Array.from({ length: ids.length === 0 ? 0 : 1 + this.#below(4) }, () => this.#pick(ids));
    return [...some, "nobody", ...some.slice(0, 1)];
  }

  get #by() {
    return { actor: "operator", reason: "to see", requestId: `${this.#acts}` };
  }

  #below = (limit: number) => Math.floor(this.#random() * limit);
  #pick = <T>(from: readonly T[]): T => from[this.#below(from.length)]!;
}

function mustBeReceipts(receipts: readonly unknown[], known: readonly unknown[], count: number): void {
  if (receipts.length !== count || !receipts.every((one) => known.includes(one)))
    throw new Error(`receipts ${JSON.stringify(receipts)} for ${count}`);
}

/** A Date can tell them. */
function mustBeTimes(times: readonly (number | undefined)[]): void {
  for (const time of times)
    if (time !== undefined && Number.isNaN(new Date(time).getTime())) throw new Error(`${time} is no time`);
}

function mustBeSane(info: TaskInfo): void {
  const { failure: last } = info;
  const texts = last === undefined ? [] : [last.reason, last.class, last.message];
  if (!Number.isSafeInteger(info.crashes) || info.crashes < 0 || texts.some((text) => typeof text !== "string"))
    throw new Error(`${info.id} is told as ${JSON.stringify({ ...info, bytes: undefined })}`);
  mustBeTimes([info.dueAtMs, info.archivedAtMs, last?.startedAtMs]);
}
