import { type ChildProcess, type ChildProcessWithoutNullStreams, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";

export const program = join(import.meta.dirname, "../../dist/cli/main.js");

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The built program as a process, without a terminal; `input` is what it reads. */
export async function holdfast(
  args: readonly string[],
  { env = {}, input = "" }: { readonly env?: NodeJS.ProcessEnv; readonly input?: string | Uint8Array } = {},
): Promise<Ended> {
  const child = started(args, env);
  child.stdin.on("error", () => undefined); // It may end without reading.
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { status: child.exitCode, stdout, stderr };
}

export function started(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [program, ...args], { env: plainly(env) });
}

/** The program called again and again in one process, for tests of what it says: most of a call's time is to start it. */
export class CliHost implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown[]>;

  constructor(env: NodeJS.ProcessEnv = {}) {
    this.#child = fork(join(import.meta.dirname, "cli-host.mjs"), [program], { env: plainly(env), silent: true });
    this.#ended = once(this.#child, "exit");
  }

  /** One call after the other. */
  async run(...args: string[]): Promise<Ended> {
    const answer = once(this.#child, "message") as Promise<[Ended]>;
    this.#child.send(args);
    const first = await Promise.race([answer, this.#ended.then(() => undefined)]);
    if (first === undefined) throw new Error(`the process ended in ${args.join(" ")}`);
    return first[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.disconnect();
    await this.#ended;
  }
}

/** Continuous integration is taken for a terminal that knows colours. */
function plainly(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NO_COLOR: _no, FORCE_COLOR: _force, CI: _ci, HOLDFAST_URL: _url, ...plain } = process.env;
  return { ...plain, ...env };
}
