import { count } from "../core/counting.js";
import type { BulkProgress } from "../index.js";
import { columns, startOf } from "./terminal.js";

/** One line, drawn over and over, that says how far a bulk act is; only where somebody looks. */
export class ProgressLine {
  readonly #out: NodeJS.WriteStream;
  readonly #doneWord: string;

  constructor(out: NodeJS.WriteStream, doneWord: string) {
    this.#out = out;
    this.#doneWord = doneWord;
  }

  readonly show = ({ moved, skipped, scanned, total }: BulkProgress): void => {
    if (!this.#out.isTTY) return;
    const skips = skipped === 0 ? "" : `, ${count(skipped)} skipped`;
    const line = `${count(moved)} ${this.#doneWord}${skips}; ${count(scanned)} of ${count(total)} looked at (Ctrl-C stops)`;
    this.#out.write(`\r\u001b[K${startOf(line, columns() - 1)}`);
  };

  end(): void {
    if (this.#out.isTTY) this.#out.write("\r\u001b[K");
  }
}
