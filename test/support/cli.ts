import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
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
  // Continuous integration is taken for a terminal that knows colours.
  const { NO_COLOR: _no, FORCE_COLOR: _force, CI: _ci, HOLDFAST_URL: _url, ...plain } = process.env;
  return spawn(process.execPath, [program, ...args], { env: { ...plain, ...env } });
}
