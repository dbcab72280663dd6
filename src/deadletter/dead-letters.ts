import type { Broker } from "../broker/broker.js";
import type { DeadLetterStore } from "../broker/dead-letters.js";
import type { AcknowledgeReceipt, QuarantineReceipt } from "../broker/letter-marks.js";
import type { DiscardReceipt, PurgeReceipt, RestoreReceipt } from "../broker/trash.js";
import { HoldfastError, invalidOption, shown } from "../core/errors.js";
import { newId } from "../core/ids.js";
import { type Given, resolve } from "../core/settings.js";
import { shownTask, shownTasks } from "../core/shown-task.js";
import type { InspectorBroker } from "../inspector/inspector.js";
import {
  actOf,
  type ByOptions,
  byOptions,
  inspectorSettings,
  type ListOptions,
  thisProcess,
} from "../inspector/options.js";
import type { IdSelection } from "../inspector/selection.js";
import { idSelection, type LettersDone } from "./by-ids.js";
import {
  acknowledgeGroup,
  noteGroup,
  reopenGroup,
  resolveGroup,
  type ResolveOptions,
  snoozeGroup,
  type SnoozeOptions,
} from "./group-acts.js";
import { type FailureGroup, type FailureGroups, group, groups, type GroupsOptions, groupTasks } from "./groups.js";
import { copy, type CopyOptions, type CopyResult } from "./copy.js";
import { Incident, type IncidentOptions } from "./incident.js";
import { replay, type ReplayHandler, type ReplayOptions, type ReplayResult } from "./replay.js";
import { type ImportOptions, type ImportResult, importRecords, itemsOf, records } from "./transfer.js";
import {
  acknowledge,
  type AcknowledgeOptions,
  discard,
  type DiscardOptions,
  purge,
  restore,
  trash,
  type TrashPage,
} from "./trash.js";
import type { Page, QueueInfo, TaskInfo } from "../core/info.js";
import { type Growth, growthOf } from "../inspector/growth.js";
import type { Desk } from "./desk.js";
import { quarantine, runQuarantined } from "./quarantine.js";
import type { RunDeadOptions } from "./redrive/options.js";
import { Redrives } from "./redrive/redrives.js";
import { runDead, type RunResult } from "./redrive/run.js";
import type { DeadSelection } from "./redrive/selection.js";
import { review, type Review, type ReviewOptions } from "./review.js";
import { addRule, listRules, removeRule, type Rule, setRuleMode } from "./rules/book.js";
import { RuleEvaluator } from "./rules/evaluator.js";
import type { RuleOptions } from "./rules/options.js";
import { previewRule, type RulePreview } from "./rules/preview.js";
import type { RuleMode } from "./rules/rule.js";
import type { SearchOptions } from "./search/options.js";
import type { SearchPage } from "./search/scan.js";
import { search, searchAll, type SearchAllOptions } from "./search/search.js";
import { GrowthKeeper } from "./growth/keeper.js";
import { listPolicies, type Policy, type PolicyOptions, removePolicy, setPolicy } from "./growth/policies.js";
import { type Spilled, type SpillNowOptions, spillNow, type SpillSelection } from "./growth/spill-now.js";
import { type SpillOptions, SpillTarget } from "./growth/spill-target.js";

const deadLettersSettings = { actor: inspectorSettings.actor };
export type DeadLettersOptions = Given<typeof deadLettersSettings>;

/** What `connect` answers. */
export type DeadLettersBroker = InspectorBroker &
  Pick<Broker, "enqueue" | "audit" | "prune"> & { readonly deadLetters?: DeadLetterStore | undefined };

/**
 * Operates the dead letters of all queues: what failed, why, how often, and what to do about it. Every act says who did it
 * and why.
 *
 * @example
 * const letters = new DeadLetters(connect("redis://localhost:6379"));
 * console.table(await letters.queues());
 */
export class DeadLetters {
  readonly #desk: Desk;
  /** Runs many of them again, with care. */
  readonly redrives: Redrives;

  /** @throws OPTION_INVALID */
  constructor(broker: DeadLettersBroker, options?: DeadLettersOptions) {
    const store = broker?.deadLetters;
    if (store === undefined) throw invalidOption("DeadLetters", `takes what connect() answers, got ${shown(broker)}`);
    const { actor = thisProcess() } = resolve(deadLettersSettings, options, "DeadLetters");
    this.#desk = {
      broker,
      store,
      audit: broker.audit,
      nowMs: () => broker.clock.nowMs(),
      act: (by, verb) => actOf(byOptions(by, verb), actor, () => newId(broker.clock.nowMs())),
    };
    this.redrives = new Redrives(this.#desk);
  }

  /** Queues that have dead letters, by name. */
  async queues(): Promise<QueueInfo[]> {
    const queues = await this.#desk.broker.queues(this.#desk.nowMs());
    return queues.filter(({ counts }) => counts.archived > 0);
  }

  /**
   * Dead letters by their cause, all queues together: what failed, how often, since when, whether it grows. A group that
   * was resolved and is seen again has regressed.
   */
  async groups(options?: GroupsOptions): Promise<FailureGroups> {
    return groups(this.#desk, options);
  }

  /** One of them, also after its dead letters are gone, where somebody said something of it. @throws GROUP_NOT_FOUND */
  async group(fingerprint: string): Promise<FailureGroup> {
    return group(this.#desk, fingerprint);
  }

  /** Its dead letters, a page of them: queue by queue, the oldest first, or backwards. */
  async groupTasks(fingerprint: string, options?: ListOptions): Promise<Page<TaskInfo>> {
    return shownTasks(await groupTasks(this.#desk, fingerprint, options));
  }

  /** Somebody looks after it. @throws GROUP_NOT_FOUND */
  async acknowledgeGroup(fingerprint: string, options?: ByOptions): Promise<FailureGroup> {
    return acknowledgeGroup(this.#desk, fingerprint, options);
  }

  /** What is known by now, for whoever looks next; kept when the dead letters are gone. @throws GROUP_NOT_FOUND */
  async noteGroup(fingerprint: string, text: string, options?: ByOptions): Promise<FailureGroup> {
    return noteGroup(this.#desk, fingerprint, text, options);
  }

  /** Not to be looked at for a while. @throws GROUP_NOT_FOUND */
  async snoozeGroup(fingerprint: string, options?: SnoozeOptions): Promise<FailureGroup> {
    return snoozeGroup(this.#desk, fingerprint, options);
  }

  /**
   * Its cause is gone. What is said of cause, fix and lesson is shown when the group regresses.
   * @throws OPTION_INVALID without a cause; GROUP_NOT_FOUND
   */
  async resolveGroup(fingerprint: string, options: ResolveOptions): Promise<FailureGroup> {
    return resolveGroup(this.#desk, fingerprint, options);
  }

  /** Neither acknowledged, snoozed nor resolved any more. @throws GROUP_NOT_FOUND */
  async reopenGroup(fingerprint: string, options?: ByOptions): Promise<FailureGroup> {
    return reopenGroup(this.#desk, fingerprint, options);
  }

  /**
   * One page of what a search finds, in all queues unless it names some: `queue:billing err~"timeout" failed:>2h`. What is
   * not indexed is looked through within bounds, so a page may hold few hits or none though there is more: go on with its
   * `cursor`. What becomes a dead letter after the first page is left out.
   * @throws SEARCH_INVALID with the column, and what is allowed there
   */
  async search(query: string, options?: SearchOptions): Promise<SearchPage> {
    return shownTasks(await search(this.#desk, query, options));
  }

  /** All that a search finds, a step of at most 200 tasks after the other; ends early by its signal. @throws SEARCH_INVALID */
  searchAll(query: string, options?: SearchAllOptions): AsyncGenerator<SearchPage, void> {
    return eachShown(searchAll(this.#desk, query, options));
  }

  /**
   * Into quarantine: run one by one alone, never by a redrive, a rule or in bulk. Dead letters of which workers died are there
   * by themselves: `is:quarantined` finds both. One receipt an id, in order.
   */
  async quarantine(tasks: IdSelection, by?: ByOptions): Promise<LettersDone<QuarantineReceipt>> {
    return quarantine(this.#desk, tasks, true, by);
  }

  /** Out of it again, where somebody put them there; what workers died of stays. */
  async unquarantine(tasks: IdSelection, by?: ByOptions): Promise<LettersDone<QuarantineReceipt>> {
    return quarantine(this.#desk, tasks, false, by);
  }

  /**
   * Lets one task of the quarantine run, once. What fails again is in quarantine again.
   * @throws TASK_NOT_FOUND NOT_QUARANTINED OPTION_INVALID
   */
  async runQuarantined(queue: string, id: string, by?: ByOptions): Promise<TaskInfo> {
    return shownTask(await runQuarantined(this.#desk, queue, id, by));
  }

  /** How dead letters came in and were dealt with lately, and what to change; it says what it cannot know. @throws OPTION_INVALID */
  async review(options?: ReviewOptions): Promise<Review> {
    return review(this.#desk, options);
  }

  /** The rules by their order, with what each did so far: the first that matches has a dead letter. */
  async rules(): Promise<Rule[]> {
    return listRules(this.#desk);
  }

  /**
   * A rule runs dead letters again, routes them to another queue or discards them, by itself: in `shadow`, as it begins unless
   * said otherwise, it only counts what it would do. Carried out by `holdfast monitor`, or by a `ruleEvaluator`.
   * @throws OPTION_INVALID SEARCH_INVALID
   */
  async addRule(rule: RuleOptions, by?: ByOptions): Promise<Rule> {
    return addRule(this.#desk, rule, by);
  }

  /** What a rule would do with the last dead letters of each queue, `last` (1,000) of each; nothing is changed. @throws RULE_NOT_FOUND OPTION_INVALID */
  async previewRule(rule: string | RuleOptions, last?: number): Promise<RulePreview> {
    return previewRule(this.#desk, rule, last);
  }

  /** Shadow, live or off: from then on it goes through all dead letters there are, the oldest first. @throws RULE_NOT_FOUND OPTION_INVALID */
  async setRuleMode(name: string, mode: RuleMode, by?: ByOptions): Promise<Rule> {
    return setRuleMode(this.#desk, name, mode, by);
  }

  /** @throws RULE_NOT_FOUND OPTION_INVALID */
  async removeRule(name: string, by?: ByOptions): Promise<void> {
    return removeRule(this.#desk, name, by);
  }

  /** Carries out the rules: call `step` again and again. Any number may run, one of them at a time does it. */
  ruleEvaluator(): RuleEvaluator {
    return new RuleEvaluator(this.#desk);
  }

  /**
   * Out of the way: into the trash of their queue, from which `restore` brings them back, as long as `keep` says (default 14
   * days). Their unique locks are released. `idTaken`: the trash holds another task of that id.
   * @throws OPTION_INVALID without a reason; BULK_INTERRUPTED when storage fails after the first 500
   */
  async discard(selection: IdSelection, options: DiscardOptions): Promise<LettersDone<DiscardReceipt>> {
    return discard(this.#desk, selection, options);
  }

  /**
   * Back from the trash, with their failure and as old as they were. `withoutLock`: another task has its unique lock by now;
   * `idTaken`: its id. @throws BULK_INTERRUPTED
   */
  async restore(selection: IdSelection, options?: ByOptions): Promise<LettersDone<RestoreReceipt>> {
    return restore(this.#desk, selection, options);
  }

  /** Out of the trash before its time, for good. @throws BULK_INTERRUPTED */
  async purge(selection: IdSelection, options?: ByOptions): Promise<LettersDone<PurgeReceipt>> {
    return purge(this.#desk, selection, options);
  }

  /** What the trash of a queue holds, a page of it: what goes first first. */
  async trash(queue: string, options?: ListOptions): Promise<TrashPage> {
    return trash(this.#desk, queue, options);
  }

  /**
   * Somebody looks after these, or has done by hand what they were to do: noted with who and why, until they die anew.
   * @throws BULK_INTERRUPTED
   */
  async acknowledgeTasks(
    selection: IdSelection,
    options?: AcknowledgeOptions,
  ): Promise<LettersDone<AcknowledgeReceipt>> {
    return acknowledge(this.#desk, selection, options);
  }

  /**
   * A new task of a dead letter's type, with another payload or in another queue. The original stays, and knows its copies;
   * the copy's header `hf-of` says what it was made of. Under the same `requestId` it is made once, however often it is asked
   * for. It has all its retries, and no deadline that has passed.
   * @throws PAYLOAD_INVALID where the payload is no JSON though the original's is, or does not fit the definition
   * @throws PAYLOAD_TOO_LARGE OPTION_INVALID; BROKER_UNAVAILABLE: call again with the same `requestId`
   */
  async copy(queue: string, id: string, options?: CopyOptions): Promise<CopyResult> {
    return copy(this.#desk, queue, id, options);
  }

  /**
   * Runs a handler on a dead letter here, in this process, and leaves the dead letter as it is. No timeout runs; effects
   * (`once`) that are stored as done are not repeated, others happen.
   * @throws TASK_NOT_FOUND where there is no such dead letter; OPTION_INVALID where it cannot be decoded
   */
  async replay(queue: string, id: string, handler: ReplayHandler, options?: ReplayOptions): Promise<ReplayResult> {
    const [letter] = await this.#desk.store.readLetters([{ queue, id }]);
    if (letter === undefined) throw new HoldfastError("TASK_NOT_FOUND", { queue, id });
    return replay(letter, handler, options);
  }

  /** Dead letters whole, each as a line of JSON: those of a search, or these. `import` reads them. @throws SEARCH_INVALID */
  export(what: string | IdSelection, options?: { readonly signal?: AbortSignal }): AsyncGenerator<string, void> {
    if (typeof what === "string") return records(this.#desk, itemsOf(searchAll(this.#desk, what, options ?? {})));
    const { queue, ids } = idSelection(what, "export");
    return records(this.#desk, [ids.map((id) => ({ queue, id }))]);
  }

  /**
   * Puts back what `export` or a spill file wrote, as it was: a task that is there already is left alone, and so is one in the
   * trash. Unique locks are not taken.
   * @throws BULK_INTERRUPTED when storage fails after the first 500: import the same lines again
   */
  async import(lines: AsyncIterable<string> | Iterable<string>, options?: ImportOptions): Promise<ImportResult> {
    return importRecords(this.#desk, lines, options);
  }

  /** Retention and overflow policies, by queue and type. */
  async policies(): Promise<Policy[]> {
    return listPolicies(this.#desk);
  }

  /**
   * How many dead letters a queue keeps, for how long, and what becomes of the others, instead of what held before. It is
   * carried out by `holdfast monitor`, or by `growthKeeper`.
   * @throws OPTION_INVALID
   */
  async setPolicy(policy: PolicyOptions, by?: ByOptions): Promise<Policy> {
    return setPolicy(this.#desk, policy, by);
  }

  /** Answers whether there was one. What it kept away from the bound it keeps no longer. @throws OPTION_INVALID */
  async removePolicy(policy: Pick<PolicyOptions, "queue" | "type">, by?: ByOptions): Promise<boolean> {
    return removePolicy(this.#desk, policy, by);
  }

  /** Of all queues, or these: how their dead letters grow, and how long there is room for them. */
  async growth(queues?: readonly string[]): Promise<Growth[]> {
    const { broker, store, nowMs } = this.#desk;
    return growthOf(store, await broker.queues(nowMs(), queues), nowMs());
  }

  /**
   * Moves dead letters out of storage into files of `options.directory`: each leaves when it is on the disk. `import` brings
   * them back.
   * @throws OPTION_INVALID SPILL_FAILED
   */
  async spill(selection: SpillSelection, options: SpillNowOptions): Promise<Spilled> {
    return spillNow(this.#desk, selection, options);
  }

  /** Carries out the policies, step by step: call `step` again and again. @throws OPTION_INVALID */
  growthKeeper(options?: SpillOptions): GrowthKeeper {
    return new GrowthKeeper(
      this.#desk,
      SpillTarget.from(options, () => this.#desk.nowMs()),
    );
  }

  /**
   * Runs dead letters again at once, as fast as storage takes them: those of a search over all queues, or these ids of a queue.
   * A few, or what is known to work by now; for many there are `redrives`. What is not to be run together with others is left,
   * and named; one id by itself runs whatever is said against it.
   * @throws OPTION_INVALID SEARCH_INVALID; RUN_INTERRUPTED when storage fails after the first batch
   */
  async run(selection: DeadSelection, options?: RunDeadOptions): Promise<RunResult> {
    return runDead(this.#desk, selection, options);
  }

  /**
   * An incident for people, in Markdown: what died, of which causes, when, and samples; texts scrubbed, payloads only where
   * they are asked for. Of a search, or of these. @throws SEARCH_INVALID
   */
  async incident(
    what: string | IdSelection,
    options: IncidentOptions & { readonly signal?: AbortSignal } = {},
  ): Promise<string> {
    const { signal, ...rest } = options;
    const incident = new Incident();
    if (typeof what === "string") {
      // As it is stored: by that its cause is told.
      for await (const { items } of searchAll(this.#desk, what, { signal }))
        for (const task of items) incident.add(task);
    } else {
      const { queue, ids } = idSelection(what, "incident");
      const tasks = await this.#desk.broker.find(ids.map((id) => ({ queue, id })));
      for (const task of tasks) if (task?.state === "archived") incident.add(task);
    }
    const title = rest.title ?? (typeof what === "string" ? what : undefined);
    return incident.markdown({ ...rest, title }, this.#desk.nowMs());
  }
}

async function* eachShown(pages: AsyncIterable<SearchPage>): AsyncGenerator<SearchPage, void> {
  for await (const page of pages) yield shownTasks(page);
}
