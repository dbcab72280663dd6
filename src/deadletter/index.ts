/** Dead letters, operated; apart, for what only runs tasks needs nothing of it. */
export type { GrowthKeeper, GrowthStep } from "./growth/keeper.js";
export type { Policy, PolicyOptions } from "./growth/policies.js";
export type { Spilled, SpillNowOptions, SpillSelection } from "./growth/spill-now.js";
export type { SpillOptions } from "./growth/spill-target.js";
export type { Growth } from "../inspector/growth.js";
export { DeadLetters, type DeadLettersBroker, type DeadLettersOptions } from "./dead-letters.js";
export { parseSearch } from "./search/parse.js";
export {
  printSearch,
  type FieldTerm,
  type SearchOperator,
  type SearchQuery,
  type SearchTerm,
  type SearchValue,
  type TextTerm,
} from "./search/query.js";
export { type FieldName as SearchField, searchFields } from "./search/fields.js";
export type { SearchOptions } from "./search/options.js";
export type { SearchPage, SearchProgress } from "./search/scan.js";
export type { SearchAllOptions } from "./search/search.js";
export type { LetterReceipt, LettersDone } from "./by-ids.js";
export type { CopyOptions, CopyResult } from "./copy.js";
export type { ReplayContext, ReplayHandler, ReplayOptions, ReplayResult } from "./replay.js";
export type { ImportOptions, ImportProgress, ImportResult } from "./transfer.js";
export type { AcknowledgeOptions, DiscardOptions, TrashPage } from "./trash.js";
export type { DiscardedTask } from "../broker/trash.js";
export { isQuarantined } from "./quarantine.js";
export type { RedriveOptions, RunDeadOptions } from "./redrive/options.js";
export type { DriveOptions, RedriveInfo, RedriveOutcome, Redrives } from "./redrive/redrives.js";
export type { RedrivePhase, RedriveStatus } from "./redrive/document.js";
export { type Ineligible, ineligibleSays } from "./redrive/reasons.js";
export type { RedrivePlan } from "./redrive/plan.js";
export type { RunResult } from "./redrive/run.js";
export type { DeadSelection } from "./redrive/selection.js";
export type { IncidentOptions } from "./incident.js";
export { type DiffLine, payloadDiff } from "./payload-diff.js";
export type { Rule } from "./rules/book.js";
export type { RuleEvaluator, RulesStep } from "./rules/evaluator.js";
export type { RuleOptions } from "./rules/options.js";
export type { RulePreview } from "./rules/preview.js";
export type { RuleAction, RuleMode, RuleStatus } from "./rules/rule.js";
export type { ResolveOptions, SnoozeOptions } from "./group-acts.js";
export type { GroupNote, GroupResolution, GroupState, GroupStatus } from "./group-state.js";
export type { FailureGroup, FailureGroups, GroupsOptions } from "./groups.js";
export type { Review, ReviewOptions, TypeReview } from "./review.js";
