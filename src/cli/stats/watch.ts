import ansis from "ansis";
import { pause } from "../../core/loop.js";
import { HoldfastError } from "../../core/errors.js";
import { print } from "../output.js";
import { untilStopped } from "../stopping.js";
import { wrapped } from "../terminal.js";
import type { Stats } from "./look.js";
import { missingFrom, statsLines } from "./view.js";

interface Watching {
  readonly look: () => Promise<Stats>;
  readonly everyMs: number;
  /** Prints one look as JSON; false when nobody reads any more. */
  readonly json: ((stats: Stats) => Promise<boolean>) | undefined;
}

/** Looks again and again until q, Ctrl-C, or until nobody reads any more. Storage that is away is waited for. */
export async function watch({ look, everyMs, json }: Watching): Promise<void> {
  const onTerminal = json === undefined && process.stdout.isTTY;
  using screen = onTerminal ? new Screen(process.stdout) : undefined;
  await untilStopped(async (stopped) => {
    using keys = onTerminal && process.stdin.isTTY ? new QuitKey(process.stdin) : undefined;
    const signal = keys === undefined ? stopped : AbortSignal.any([stopped, keys.signal]);
    let first = true;
    while (!signal.aborted) {
      const seen = await orUnavailable(look);
      if (screen !== undefined) {
        screen.draw([...linesOf(seen, screen.rows), ansis.dim(`every ${everyMs / 1_000} s; q quits`)]);
      } else if (seen instanceof HoldfastError) process.stderr.write(`${unavailableLines(seen).join("\n")}\n`);
      else if (!(await (json === undefined ? printBlock(seen, first) : json(seen)))) return;
      first = false;
      await pause(everyMs, signal);
    }
  });
}

async function orUnavailable(look: () => Promise<Stats>): Promise<Stats | HoldfastError> {
  try {
    return await look();
  } catch (error) {
    if (HoldfastError.is(error, "BROKER_UNAVAILABLE")) return error;
    throw error;
  }
}

function linesOf(seen: Stats | HoldfastError, room = Number.POSITIVE_INFINITY): string[] {
  if (seen instanceof HoldfastError) return unavailableLines(seen);
  const missing = missingFrom(seen);
  const below = missing === undefined ? [] : ["", ...unavailableLines(missing)];
  return [...statsLines(seen, room - below.length), ...below];
}

const unavailableLines = ({ message }: HoldfastError) =>
  wrapped(`${message}; trying again`).map((line) => ansis.red(line));

const printBlock = async (stats: Stats, first: boolean) => print(...(first ? [] : [""]), ...linesOf(stats));

/** Lines that are drawn over and over in place, each in one write, so that nothing flickers. */
class Screen implements Disposable {
  readonly #out: NodeJS.WriteStream;
  #height = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    out.write(hideCursor);
    out.on("resize", this.#clear);
  }

  /** Lines there is room for, beside the last one. */
  get rows(): number {
    return Math.max(6, (this.#out.rows ?? 24) - 2);
  }

  draw(lines: readonly string[]): void {
    const up = this.#height === 0 ? "" : `\u001b[${this.#height}A`;
    this.#out.write(`${up}${lines.map((line) => `\r${line}\u001b[K\n`).join("")}\u001b[J`);
    this.#height = lines.length;
  }

  [Symbol.dispose](): void {
    this.#out.removeListener("resize", this.#clear);
    this.#out.write(showCursor);
  }

  /** The terminal has broken the lines anew: what was where is not known. */
  readonly #clear = (): void => {
    this.#out.write("\u001b[2J\u001b[H");
    this.#height = 0;
  };
}

const hideCursor = "\u001b[?25l";
const showCursor = "\u001b[?25h";

/** Aborts its signal when somebody presses q. Keys come one by one meanwhile, and Ctrl-C among them. */
class QuitKey implements Disposable {
  readonly #in: NodeJS.ReadStream;
  readonly #quit = new AbortController();
  readonly signal = this.#quit.signal;

  constructor(input: NodeJS.ReadStream) {
    this.#in = input;
    input.setRawMode(true).resume().on("data", this.#press);
  }

  [Symbol.dispose](): void {
    this.#in.removeListener("data", this.#press);
    this.#in.setRawMode(false).pause();
  }

  readonly #press = (keys: Buffer): void => {
    const text = keys.toString("latin1");
    if (text.includes("\u0003")) process.kill(process.pid, "SIGINT");
    else if (/q/i.test(text)) this.#quit.abort();
  };
}
