import type { TaskInfo } from "../../core/info.js";
import { invalidOption } from "../../core/errors.js";
import { setting } from "../../core/settings.js";
import type { Desk } from "../desk.js";
import { matcherOf } from "../search/match.js";
import { parseSearch } from "../search/parse.js";
import { searchOf } from "../search/query.js";
import { beginning, scan } from "../search/scan.js";
import { namedRule } from "./book.js";
import { whatStorageSays, whyLeft } from "./carry-out.js";
import { liveRules } from "./evaluator.js";
import { checkedRule, type RuleOptions } from "./options.js";
import type { NamedRule } from "./rule.js";
import { added } from "./tally.js";

/** What a rule would do with the dead letters there are. Nothing is changed, and nothing counted. */
export interface RulePreview {
  /** The last so many of each queue were looked at. */
  readonly looked: number;
  readonly matched: number;
  /** It would take them, at once or when they are old enough. */
  readonly would: number;
  /** They match and would be left, by why. */
  readonly left: Readonly<Record<string, number>>;
  /** They match, and a rule before it has them. */
  readonly earlier: Readonly<Record<string, number>>;
  readonly types: Readonly<Record<string, number>>;
  readonly queues: Readonly<Record<string, number>>;
  /** Some of those that it would take. */
  readonly samples: readonly { readonly queue: string; readonly id: string; readonly type: string }[];
}

const maxSamples = 5;

/** @param of a rule's name, or one that is not there yet @throws OPTION_INVALID SEARCH_INVALID */
export async function previewRule(desk: Desk, of: string | RuleOptions, last = 1_000): Promise<RulePreview> {
  const most = setting.integer({ default: 1_000, min: 1, max: 100_000, says: "" }).parse(last, "previewRule.last")!;
  const nowMs = desk.nowMs();
  const rule = typeof of === "string" ? await namedRule(desk, of) : draft(of, nowMs);
  if (rule.query === undefined) throw invalidOption("rule.search", "cannot be read by this release");
  const before = (await liveRules(desk, nowMs))
    .filter(({ name, order, mode }) => mode === "live" && name !== rule.name && order <= rule.order)
    .map(({ name, query }) => ({ name, matches: matcherOf(query!, nowMs) }));
  const matches = matcherOf(rule.query, nowMs);
  const preview = { looked: 0, matched: 0, would: 0, left: {}, earlier: {}, types: {}, queues: {} };
  const samples: RulePreview["samples"][number][] = [];
  const queues = (await desk.broker.queues(nowMs)).filter(({ counts }) => counts.archived > 0);
  for (const { name: queue } of queues) {
    for await (const { items } of scan(desk, searchOf("queue", queue), beginning(nowMs, true), {
      limit: most,
    })) {
      preview.looked += items.length;
      const hits = items.filter(matches);
      preview.matched += hits.length;
      const earlier = hits.map((task) => before.find((one) => one.matches(task))?.name);
      preview.earlier = added(
        preview.earlier,
        earlier.filter((name) => name !== undefined),
      );
      const own = hits.filter((_, n) => earlier[n] === undefined);
      const free = own.filter((task) => whyLeft(task, rule, nowMs) === undefined);
      const says = await whatStorageSays(desk, queue, free, rule);
      preview.left = added(
        preview.left,
        own.flatMap((task) => whyLeft(task, rule, nowMs) ?? []),
      );
      preview.left = added(
        preview.left,
        says.filter((why) => why !== undefined),
      );
      const taken = free.filter((_, n) => says[n] === undefined);
      preview.would += taken.length;
      preview.types = added(preview.types, taken.map(typeOf));
      preview.queues = added(
        preview.queues,
        taken.map((task) => task.queue),
      );
      samples.push(
        ...taken.slice(0, maxSamples - samples.length).map((task) => ({ queue, id: task.id, type: typeOf(task) })),
      );
    }
  }
  return { ...preview, samples };
}

const typeOf = ({ message }: TaskInfo) => message?.type ?? "(unreadable)";

function draft(given: RuleOptions, nowMs: number): NamedRule {
  const {
    expiresMs,
    order = 1_000_000,
    ...checked
  } = checkedRule({
    name: "preview",
    owner: "preview",
    expires: "1d",
    ...given,
  });
  const times = { expiresAtMs: nowMs + expiresMs, sinceMs: nowMs, createdAtMs: nowMs };
  return { ...checked, ...times, order, reason: "", createdBy: "", version: 0, query: parseSearch(checked.search) };
}
