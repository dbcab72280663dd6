import type { Desk } from "../desk.js";
import { placeOf } from "./cursor.js";
import { type SearchOptions, searchOptions } from "./options.js";
import { parseSearch } from "./parse.js";
import { beginning, scan, searchOnce, type SearchPage } from "./scan.js";

/** One page of what a search finds. @throws SEARCH_INVALID OPTION_INVALID */
export async function search(desk: Desk, text: string, options?: SearchOptions): Promise<SearchPage> {
  const query = parseSearch(text);
  const { cursor, newestFirst, ...rest } = searchOptions(options);
  const from = cursor === undefined ? beginning(desk.nowMs(), newestFirst) : placeOf(query, cursor, "search.cursor");
  return searchOnce(desk, query, from, rest);
}

export interface SearchAllOptions extends Pick<SearchOptions, "signal" | "newestFirst"> {}

/** All that a search finds, as it is found. @throws SEARCH_INVALID OPTION_INVALID */
export function searchAll(desk: Desk, text: string, options?: SearchAllOptions): AsyncGenerator<SearchPage, void> {
  const query = parseSearch(text);
  const { newestFirst, signal } = searchOptions(options);
  return scan(desk, query, beginning(desk.nowMs(), newestFirst), { signal });
}
