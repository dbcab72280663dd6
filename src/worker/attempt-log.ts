import { maxLogChars, maxLogLines } from "../core/outcome.js";
import type { Scrubber } from "../core/scrub.js";

const maxLineChars = 512;

/** What a handler said of its attempt last, each line with the seconds since it began. */
export class AttemptLog {
  readonly #lines: { readonly afterMs: number; readonly text: string }[] = [];

  add(text: string, afterMs: number): void {
    // As much as the scrubber looks at.
    this.#lines.push({ afterMs, text: text.slice(0, 2 * maxLineChars) });
    if (this.#lines.length > maxLogLines) this.#lines.shift();
  }

  /** The last ones, as far as there is place; `undefined` where nothing was said. */
  lines(scrub: Scrubber): readonly string[] | undefined {
    let chars = 0;
    const kept: string[] = [];
    for (const { afterMs, text } of this.#lines.toReversed()) {
      const line = `${(afterMs / 1_000).toFixed(3)}s ${scrub(text, maxLineChars).toWellFormed()}`;
      chars += line.length;
      if (chars > maxLogChars) break;
      kept.unshift(line);
    }
    return kept.length === 0 ? undefined : kept;
  }
}
