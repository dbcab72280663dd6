/** Dead letters, operated; apart, for what only runs tasks needs nothing of it. */
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
