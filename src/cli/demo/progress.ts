import ansis from "ansis";
import { columns } from "../terminal.js";

export interface Reading {
  readonly ended: number;
  readonly total: number;
  readonly retries: number;
}

/** Tells people how far the work is. */
export interface Progress {
  show(reading: Reading): void;
  end(): void;
}

/** One line, drawn over and over, on a terminal; a line at each quarter elsewhere; nothing for programs. */
export function progressFor(out: NodeJS.WriteStream, silent: boolean): Progress {
  if (silent) return { show() {}, end() {} };
  return out.isTTY ? new ProgressBar(out) : new ProgressLines(out);
}

class ProgressBar implements Progress {
  readonly #out: NodeJS.WriteStream;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  show({ ended, total, retries }: Reading): void {
    const share = total === 0 ? 1 : ended / total;
    const note = ` ${String(Math.floor(share * 100)).padStart(3)}%  ${ended}/${total} tasks  ${retries} retries`;
    const width = Math.max(0, Math.min(40, columns() - note.length - 1));
    const full = Math.round(share * width);
    const bar = ansis.green("█".repeat(full)) + ansis.dim("░".repeat(width - full));
    this.#out.write(`\r\u001b[K${bar}${note.slice(0, columns() - 1)}`);
  }

  end(): void {
    this.#out.write("\r\u001b[K");
  }
}

class ProgressLines implements Progress {
  readonly #out: NodeJS.WriteStream;
  #quarters = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  show({ ended, total, retries }: Reading): void {
    const quarters = total === 0 ? 4 : Math.floor((ended / total) * 4);
    if (quarters <= this.#quarters) return;
    this.#quarters = quarters;
    this.#out.write(`${quarters * 25}%: ${ended} of ${total} tasks, ${retries} retries\n`);
  }

  end(): void {}
}
