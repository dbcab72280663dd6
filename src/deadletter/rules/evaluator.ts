import { randomUUID } from "node:crypto";
import { DocumentLease } from "../../broker/document-lease.js";
import type { Page, TaskInfo } from "../../core/info.js";
import { scanPage } from "../../inspector/pages.js";
import type { Desk } from "../desk.js";
import { type Matcher, matcherOf } from "../search/match.js";
import { passes, statesOf } from "../search/plan.js";
import { carryOut, whatStorageSays, whyLeft } from "./carry-out.js";
import { firstPlace, isBehind, type QueuePlaces, readPlaces, type RulePlace, writePlaces } from "./places.js";
import { type NamedRule, rulesIn, statusOf } from "./rule.js";
import { added, allowanceNow, readTallies, type RuleTally, tallyId } from "./tally.js";

/** What one step of the rules did. */
export interface RulesStep {
  /** Another process does it at present. */
  readonly elsewhere: boolean;
  /** There is more to do at once. */
  readonly more: boolean;
  readonly looked: number;
  readonly acted: number;
  /** What rules in shadow would have done. */
  readonly would: number;
  readonly left: number;
}

/** A dead letter younger than this may still get company that is older: clocks differ by some. */
const settledMs = 5_000;
/** How many are looked at in one step, in pages. */
const maxLooked = 2_000;
const leaseMs = 60_000;

/**
 * Carries out the rules, one page of one queue for one rule after the other. One process at a time, by a lease in a document;
 * who dies is followed by another when that has run out.
 */
export class RuleEvaluator {
  readonly #desk: Desk;
  readonly #lease: DocumentLease;
  /** Where the last step ended: each rule in each queue has its turn. */
  #turn = 0;

  constructor(desk: Desk) {
    this.#desk = desk;
    this.#lease = new DocumentLease(desk.store, { kind: "duty", id: "rule-evaluator", leaseMs, holder: randomUUID() });
  }

  /** One bounded step. @throws what storage throws; the next step goes on where this one did not get to */
  async step(signal?: AbortSignal): Promise<RulesStep> {
    const nothing = { elsewhere: false, more: false, looked: 0, acted: 0, would: 0, left: 0 };
    if (!(await this.#lease.hold(this.#desk.nowMs()))) return { ...nothing, elsewhere: true };
    const nowMs = this.#desk.nowMs();
    const rules = await liveRules(this.#desk, nowMs);
    if (rules.length === 0) return nothing;
    const all = (await this.#desk.broker.queues(nowMs)).filter(({ counts }) => counts.archived > 0);
    const turns = rules.flatMap((rule) =>
      all.filter(({ name }) => passes(rule.query!, "queue", name)).map(({ name }) => ({ rule, queue: name })),
    );
    if (turns.length === 0) return nothing;
    const round = new Round(this.#desk, rules, nowMs);
    await round.begin([...new Set(turns.map(({ queue }) => queue))]);
    const first = this.#turn % turns.length;
    let done = 0;
    let unfinished = false;
    const mayGoOn = () => signal?.aborted !== true && this.#lease.isOursAt(this.#desk.nowMs());
    while (done < turns.length && round.looked < maxLooked && mayGoOn()) {
      const { rule, queue } = turns[(first + done) % turns.length]!;
      if (await round.page(rule, queue)) unfinished = true;
      done += 1;
    }
    this.#turn = first + done;
    await round.end();
    const { looked, acted, would, left } = round;
    return { elsewhere: false, more: unfinished || done < turns.length, looked, acted, would, left };
  }

  /** Lets another process begin at once. */
  async close(): Promise<void> {
    await this.#lease.release(this.#desk.nowMs());
  }
}

/** Those that do something, or would, by their order. */
export async function liveRules({ store }: Desk, nowMs: number): Promise<NamedRule[]> {
  return rulesIn(await store.readDocuments("rule")).filter((rule) => {
    const status = statusOf(rule, nowMs);
    return (status === "live" || status === "shadow") && statesOf(rule.query!).includes("archived");
  });
}

/** The rules at one moment, with what is read and written for them. */
class Round {
  readonly #desk: Desk;
  readonly #rules: readonly { readonly rule: NamedRule; readonly matches: Matcher }[];
  readonly #nowMs: number;
  #places = new Map<string, QueuePlaces>();
  #tallies = new Map<string, { version: number; tally: RuleTally }>();
  /** Several rules are at the same page, mostly. */
  readonly #pages = new Map<string, Page<TaskInfo>>();
  readonly #newest = new Map<string, number>();
  readonly #changedPlaces = new Set<string>();
  readonly #changedTallies = new Set<string>();
  looked = 0;
  acted = 0;
  would = 0;
  left = 0;

  constructor(desk: Desk, rules: readonly NamedRule[], nowMs: number) {
    this.#desk = desk;
    this.#rules = rules.map((rule) => ({ rule, matches: matcherOf(rule.query!, nowMs) }));
    this.#nowMs = nowMs;
  }

  async begin(queues: readonly string[]): Promise<void> {
    this.#places = await readPlaces(this.#desk, queues);
    this.#tallies = await readTallies(
      this.#desk,
      this.#rules.map(({ rule }) => rule.name),
      this.#nowMs,
    );
  }

  /** True: there is another page that is due. */
  async page(rule: NamedRule, queue: string): Promise<boolean> {
    const place = this.#placeOf(rule, queue);
    if (place.dueMs > this.#nowMs) return false;
    if (!place.more && (await this.#newestOf(queue)) <= place.untilMs) return false;
    const page = await this.#read(queue, place.cursor);
    const dueAtMs = (task: TaskInfo) => (task.archivedAtMs ?? 0) + Math.max(rule.afterMs, settledMs);
    const ahead = page.items.filter((task) => !isBehind(place, task));
    const due = ahead.filter((task) => dueAtMs(task) <= this.#nowMs);
    const { until, waitMs } = await this.#consider(rule, queue, due);
    const last = until === undefined ? undefined : due[until];
    const isThrough = due.length === 0 || until === due.length - 1;
    const young = ahead[due.length];
    const atEnd = isThrough && young === undefined;
    const nextDueMs = !isThrough ? this.#nowMs + waitMs : young === undefined ? 0 : dueAtMs(young);
    this.#setPlace(rule, queue, {
      sinceMs: rule.sinceMs,
      cursor: atEnd && page.next !== undefined ? page.next : place.cursor,
      untilMs: last?.archivedAtMs ?? place.untilMs,
      untilId: last?.id ?? place.untilId,
      more: !atEnd || page.next !== undefined,
      dueMs: nextDueMs,
    });
    return atEnd && page.next !== undefined;
  }

  async end(): Promise<void> {
    const names = new Set(this.#rules.map(({ rule }) => rule.name));
    for (const queue of this.#changedPlaces) {
      const { version, places } = this.#places.get(queue)!;
      const kept = Object.fromEntries(Object.entries(places).filter(([name]) => names.has(name)));
      await writePlaces(this.#desk, queue, { version, places: kept });
    }
    const writes = Array.from(this.#changedTallies, (name) => {
      const { version, tally } = this.#tallies.get(name)!;
      return { id: tallyId(name), value: tally, ifVersion: version };
    });
    if (writes.length > 0) await this.#desk.store.writeDocuments("counter", writes, this.#desk.nowMs());
  }

  /** Up to which of them it came: a rate may end it before the last, and says how long to wait. */
  async #consider(
    rule: NamedRule,
    queue: string,
    due: readonly TaskInfo[],
  ): Promise<{ readonly until: number | undefined; readonly waitMs: number }> {
    if (due.length === 0) return { until: undefined, waitMs: 0 };
    const hits = due.flatMap((task, n) => (this.#isFirst(rule, task) ? [{ task, n }] : []));
    const { tally } = this.#tallies.get(rule.name)!;
    const allowance = allowanceNow(tally, rule.perMinute, this.#nowMs);
    const good = hits.filter(({ task }) => whyLeft(task, rule, this.#nowMs) === undefined);
    const bad = hits.filter((hit) => !good.includes(hit));
    const isShadow = rule.mode === "shadow";
    // What it would do takes no time.
    const most = isShadow ? good.length : Math.floor(allowance);
    const taken = good.slice(0, most);
    const over = good[most];
    const until = over === undefined ? due.length - 1 : over.n - 1;
    this.looked += until + 1;
    const whys = bad.filter(({ n }) => n <= until).map(({ task }) => whyLeft(task, rule, this.#nowMs)!);
    const answers = await this.#do(
      rule,
      queue,
      taken.map(({ task }) => task),
    );
    whys.push(...answers.filter((answer) => answer !== "done"));
    const done = answers.filter((answer) => answer === "done").length;
    this.left += whys.length;
    if (isShadow) this.would += done;
    else this.acted += done;
    if (done > 0 || whys.length > 0)
      this.#setTally(rule, {
        ...tally,
        acted: tally.acted + (isShadow ? 0 : done),
        would: tally.would + (isShadow ? done : 0),
        left: added(tally.left, whys),
        lastHitAtMs: this.#nowMs,
        allowance: isShadow ? allowance : allowance - done,
        allowanceAtMs: this.#nowMs,
      });
    const missing = 1 - (allowance - taken.length);
    return {
      until: until < 0 ? undefined : until,
      waitMs: over === undefined ? 0 : Math.max(1_000, Math.ceil((missing * 60_000) / rule.perMinute)),
    };
  }

  async #do(rule: NamedRule, queue: string, tasks: readonly TaskInfo[]): Promise<string[]> {
    if (tasks.length === 0) return [];
    if (rule.mode === "shadow") {
      const says = await whatStorageSays(this.#desk, queue, tasks, rule);
      return says.map((why) => why ?? "done");
    }
    return carryOut(this.#desk, rule, queue, tasks);
  }

  /** Rules before it have it first; one in shadow only before others in shadow. */
  #isFirst(rule: NamedRule, task: TaskInfo): boolean {
    const first = this.#rules.find((one) => (one.rule.mode === "live" || rule.mode === "shadow") && one.matches(task));
    return first?.rule.name === rule.name;
  }

  #placeOf(rule: NamedRule, queue: string): RulePlace {
    const place = this.#places.get(queue)?.places[rule.name];
    return place?.sinceMs === rule.sinceMs ? place : firstPlace(rule.sinceMs);
  }

  #setPlace({ name }: NamedRule, queue: string, place: RulePlace): void {
    const { version, places } = this.#places.get(queue)!;
    this.#places.set(queue, { version, places: { ...places, [name]: place } });
    this.#changedPlaces.add(queue);
  }

  #setTally({ name }: NamedRule, tally: RuleTally): void {
    this.#tallies.set(name, { version: this.#tallies.get(name)!.version, tally });
    this.#changedTallies.add(name);
  }

  async #read(queue: string, cursor: string): Promise<Page<TaskInfo>> {
    const key = `${cursor}\n${queue}`;
    const read =
      this.#pages.get(key) ??
      (await this.#desk.broker.list(
        { queue, state: "archived" },
        { limit: scanPage, cursor: cursor === "" ? undefined : cursor },
      ));
    this.#pages.set(key, read);
    return read;
  }

  /** When the last of its dead letters died. */
  async #newestOf(queue: string): Promise<number> {
    const known = this.#newest.get(queue);
    if (known !== undefined) return known;
    const { items } = await this.#desk.broker.list({ queue, state: "archived" }, { limit: 1, backwards: true });
    const newest = items[0]?.archivedAtMs ?? 0;
    this.#newest.set(queue, newest);
    return newest;
  }
}
